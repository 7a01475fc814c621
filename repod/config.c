// SPDX-License-Identifier: Apache-2.0
/* repod.conf: one table says for each key where its value goes and what it may be. */
#include "repod/config.h"

#include "base/cli.h"
#include "sign/sign.h"

#include <stddef.h>
#include <string.h>

#define SERVER "server"
#define REPOSITORY "repository "
#define NAME_CHARACTERS "-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define MAX_SECONDS (24u * 60 * 60)

typedef enum { TEXT, PATH, PATH_OR_DASH, URL, FLAG, COUNT, SIZE, SECONDS, MODE, FINGERPRINTS } KeyKind;

typedef struct {
    const char *name;
    KeyKind kind;
    size_t offset;
    unsigned least, most; /* of a COUNT */
} Key;

#define KEY(struct_, member) offsetof(struct_, member)

static const Key SERVER_KEYS[] = {
    {"tls-certificate", PATH, KEY(Config, tls_certificate), 0, 0},
    {"tls-key", PATH, KEY(Config, tls_key), 0, 0},
    {"tls-client-ca", PATH, KEY(Config, tls_client_ca), 0, 0},
    {"user", TEXT, KEY(Config, user), 0, 0},
    {"state", PATH, KEY(Config, state_dir), 0, 0},
    {"access-log", PATH_OR_DASH, KEY(Config, access_log), 0, 0},
    {"audit-log", PATH_OR_DASH, KEY(Config, audit_log), 0, 0},
    {"insecure-tokens", FLAG, KEY(Config, has_insecure_tokens), 0, 0},
    {"socket-mode", MODE, KEY(Config, socket_mode), 0, 0},
    {"threads", COUNT, KEY(Config, threads), 1, 256},
    {"max-connections", COUNT, KEY(Config, max_connections), 1, 1000000},
    {"max-client-connections", COUNT, KEY(Config, max_client_connections), 1, 1000000},
    {"head-timeout", SECONDS, KEY(Config, head_timeout_ms), 0, 0},
    {"idle-timeout", SECONDS, KEY(Config, idle_timeout_ms), 0, 0},
    {"body-timeout", SECONDS, KEY(Config, body_timeout_ms), 0, 0},
    {"write-timeout", SECONDS, KEY(Config, write_timeout_ms), 0, 0},
    {"request-timeout", SECONDS, KEY(Config, request_timeout_ms), 0, 0},
    {"tls-timeout", SECONDS, KEY(Config, tls_timeout_ms), 0, 0},
    {"stop-timeout", SECONDS, KEY(Config, stop_timeout_ms), 0, 0},
    {"min-body-rate", SIZE, KEY(Config, min_body_rate), 0, 0},
    {"client-requests", COUNT, KEY(Config, client_requests), 0, 1000000},
    {"client-burst", COUNT, KEY(Config, client_burst), 1, 1000000},
    {"client-bytes", SIZE, KEY(Config, client_bytes), 0, 0},
};

static const Key SITE_KEYS[] = {
    {"dir", PATH, KEY(ConfigSite, dir), 0, 0},
    {"host", TEXT, KEY(ConfigSite, host), 0, 0},
    {"path", TEXT, KEY(ConfigSite, prefix), 0, 0},
    {"public", FLAG, KEY(ConfigSite, is_public), 0, 0},
    {"push", FLAG, KEY(ConfigSite, may_push), 0, 0},
    {"quota", SIZE, KEY(ConfigSite, quota), 0, 0},
    {"max-upload", SIZE, KEY(ConfigSite, max_upload), 0, 0},
    {"fingerprints", FINGERPRINTS, KEY(ConfigSite, fingerprints), 0, 0},
    {"url", URL, KEY(ConfigSite, url), 0, 0},
};

static void
listen_free(void *data)
{
    ConfigListen *listen = data;

    g_free(listen->address);
    g_free(listen);
}

static void
site_free(void *data)
{
    ConfigSite *site = data;

    g_free(site->name);
    g_free(site->dir);
    g_free(site->host);
    g_free(site->prefix);
    g_strfreev(site->fingerprints);
    g_free(site->url);
    g_free(site);
}

Config *
config_ref(Config *config)
{
    atomic_fetch_add(&config->n_users, 1);
    return config;
}

void
config_unref(Config *config)
{
    if (config == NULL || atomic_fetch_sub(&config->n_users, 1) > 1)
        return;
    g_ptr_array_unref(config->listen);
    g_ptr_array_unref(config->sites);
    g_free(config->tls_certificate);
    g_free(config->tls_key);
    g_free(config->tls_client_ca);
    g_free(config->user);
    g_free(config->state_dir);
    g_free(config->access_log);
    g_free(config->audit_log);
    g_free(config);
}

/* What a public server can keep; see repod.conf(5) for the reasons. */
static Config *
config_new(void)
{
    Config *config = g_new0(Config, 1);

    atomic_init(&config->n_users, 1);
    config->listen = g_ptr_array_new_with_free_func(listen_free);
    config->sites = g_ptr_array_new_with_free_func(site_free);
    config->socket_mode = 0666;
    config->max_connections = 10000;
    config->max_client_connections = 256;
    config->head_timeout_ms = 15 * 1000;
    config->idle_timeout_ms = config->write_timeout_ms = 60 * 1000;
    config->body_timeout_ms = config->stop_timeout_ms = 30 * 1000;
    config->tls_timeout_ms = 10 * 1000;
    config->request_timeout_ms = MAX_SECONDS * 1000;
    config->min_body_rate = 1024;
    config->client_requests = 1000;
    config->client_burst = 2000;
    return config;
}

static ConfigSite *
site_new(const char *name)
{
    ConfigSite *site = g_new0(ConfigSite, 1);

    site->name = g_strdup(name);
    site->prefix = g_strdup("");
    site->is_public = true;
    site->max_upload = G_GUINT64_CONSTANT(64) << 30;
    return site;
}

Config *
config_new_simple(const char *dir)
{
    Config *config = config_new();
    ConfigSite *site = site_new("default");

    site->dir = g_canonicalize_filename(dir, NULL);
    g_ptr_array_add(config->sites, site);
    return config;
}

void
config_add_listen(Config *config, const char *address, bool is_tls)
{
    ConfigListen *listen = g_new0(ConfigListen, 1);

    listen->address = g_strdup(address);
    listen->is_tls = is_tls;
    g_ptr_array_add(config->listen, listen);
}

/* read_seconds: "15s", "2m", "1h": milliseconds. */
static bool
read_seconds(const char *value, unsigned *out_ms, GError **error)
{
    int64_t seconds;

    if (!cli_parse_age(value, &seconds, error))
        return false;
    if (seconds < 1 || seconds > MAX_SECONDS)
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': 1s to 1d is expected", value);
    *out_ms = (unsigned)seconds * 1000;
    return true;
}

static bool
read_count(const char *value, unsigned least, unsigned most, unsigned *out_count, GError **error)
{
    guint64 count;

    if (!g_ascii_string_to_unsigned(value, 10, least, most, &count, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': a number from %u to %u is expected", value,
                              least, most);
    *out_count = (unsigned)count;
    return true;
}

static bool
read_mode(const char *value, unsigned *out_mode, GError **error)
{
    guint64 mode;

    if (!g_ascii_string_to_unsigned(value, 8, 0, 0777, &mode, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': an octal mode as in 0660 is expected", value);
    *out_mode = (unsigned)mode;
    return true;
}

static bool
read_flag(const char *value, bool *out_flag, GError **error)
{
    *out_flag = strcmp(value, "yes") == 0;
    return *out_flag || strcmp(value, "no") == 0 ||
           error_set_code(error, BASE_ERROR_USAGE, "'%s': yes or no is expected", value);
}

static bool
read_text(const char *value, KeyKind kind, char **out_text, GError **error)
{
    if (*value == '\0')
        return error_set_code(error, BASE_ERROR_USAGE, "a value is expected");
    if (kind != TEXT && !g_path_is_absolute(value) && (kind == PATH || strcmp(value, "-") != 0))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': an absolute path is expected", value);
    g_free(*out_text);
    *out_text = g_strdup(value);
    return true;
}

/* read_url: what a page can show and a user copy into a shell: no quotes, no blanks. */
static bool
read_url(const char *value, char **out_url, GError **error)
{
    static const char others[] = "-._~:/[]";
    const char *scheme = g_str_has_prefix(value, "https://") ? "https://" : "http://";

    for (const char *at = value; *at != '\0'; at++)
        if (!g_ascii_isalnum(*at) && strchr(others, *at) == NULL)
            return error_set_code(error, BASE_ERROR_USAGE, "'%s': a plain URL is expected", value);
    if (!g_str_has_prefix(value, scheme) || strlen(value) == strlen(scheme) || !g_str_has_suffix(value, "/"))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s': http:// or https:// and a slash at the end are expected", value);
    g_free(*out_url);
    *out_url = g_strdup(value);
    return true;
}

static bool
read_fingerprints(const char *value, char ***out_fingerprints, GError **error)
{
    g_auto(GStrv) texts = g_strsplit(value, " ", -1);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (char **text = texts; *text != NULL; text++) {
        g_autofree char *normal = **text != '\0' ? sign_normal_fingerprint(*text, error) : NULL;

        if (normal == NULL && **text != '\0')
            return false;
        if (normal != NULL)
            g_strv_builder_add(builder, normal);
    }
    g_strfreev(*out_fingerprints);
    *out_fingerprints = g_strv_builder_end(builder);
    return **out_fingerprints != NULL || error_set_code(error, BASE_ERROR_USAGE, "a value is expected");
}

static bool
read_value(const Key *key, const char *value, void *target, GError **error)
{
    char *at = (char *)target + key->offset;

    switch (key->kind) {
    case TEXT:
    case PATH:
    case PATH_OR_DASH:
        return read_text(value, key->kind, (char **)(void *)at, error);
    case URL:
        return read_url(value, (char **)(void *)at, error);
    case FINGERPRINTS:
        return read_fingerprints(value, (char ***)(void *)at, error);
    case FLAG:
        return read_flag(value, (bool *)at, error);
    case COUNT:
        return read_count(value, key->least, key->most, (unsigned *)(void *)at, error);
    case SIZE:
        return cli_parse_size(value, (uint64_t *)(void *)at, error);
    case MODE:
        return read_mode(value, (unsigned *)(void *)at, error);
    case SECONDS:
        return read_seconds(value, (unsigned *)(void *)at, error);
    }
    g_assert_not_reached();
}

/* read_key: BASE_ERROR_USAGE with "name: [section] key: " in front. */
static bool
read_key(GKeyFile *file, const char *name, const char *section, const char *key_name, const Key *keys,
         size_t n_keys, void *target, GError **error)
{
    g_autofree char *value = g_key_file_get_string(file, section, key_name, NULL);
    g_autoptr(GError) local = NULL;

    for (size_t i = 0; i < n_keys; i++) {
        if (strcmp(keys[i].name, key_name) != 0)
            continue;
        if (value == NULL)
            error_set_code(&local, BASE_ERROR_USAGE, "not a text in UTF-8");
        else if (read_value(&keys[i], g_strstrip(value), target, &local))
            return true;
        return error_set_code(error, BASE_ERROR_USAGE, "%s: [%s] %s: %s", name, section, key_name,
                              local->message);
    }
    return error_set_code(error, BASE_ERROR_USAGE, "%s: [%s]: '%s' is no key there", name, section, key_name);
}

static bool
read_listen(GKeyFile *file, const char *key, bool is_tls, Config *config, const char *name, GError **error)
{
    g_auto(GStrv) addresses = g_key_file_get_string_list(file, SERVER, key, NULL, NULL);

    for (char **address = addresses; address != NULL && *address != NULL; address++) {
        config_add_listen(config, g_strstrip(*address), is_tls);
        if (**address == '\0' || config->listen->len > CONFIG_MAX_LISTEN)
            return error_set_code(error, BASE_ERROR_USAGE, "%s: [%s] %s: up to %u addresses are expected",
                                  name, SERVER, key, CONFIG_MAX_LISTEN);
    }
    return true;
}

static bool
read_metrics(GKeyFile *file, Config *config, const char *name, GError **error)
{
    g_autofree char *who = g_key_file_get_string(file, SERVER, "metrics", NULL);

    config->is_metrics_public = g_strcmp0(who, "public") == 0;
    return config->is_metrics_public || g_strcmp0(who, "private") == 0 ||
           error_set_code(error, BASE_ERROR_USAGE, "%s: [%s] metrics: public or private is expected", name,
                          SERVER);
}

static bool
read_log_format(GKeyFile *file, Config *config, const char *name, GError **error)
{
    g_autofree char *format = g_key_file_get_string(file, SERVER, "access-log-format", NULL);

    config->is_log_json = g_strcmp0(format, "json") == 0;
    return config->is_log_json || g_strcmp0(format, "text") == 0 ||
           error_set_code(error, BASE_ERROR_USAGE, "%s: [%s] access-log-format: text or json is expected",
                          name, SERVER);
}

static bool
read_server(GKeyFile *file, Config *config, const char *name, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, SERVER, NULL, NULL);

    for (char **key = keys; key != NULL && *key != NULL; key++) {
        bool is_ok;

        if (strcmp(*key, "listen") == 0 || strcmp(*key, "tls-listen") == 0)
            is_ok = read_listen(file, *key, **key == 't', config, name, error);
        else if (strcmp(*key, "access-log-format") == 0)
            is_ok = read_log_format(file, config, name, error);
        else if (strcmp(*key, "metrics") == 0)
            is_ok = read_metrics(file, config, name, error);
        else
            is_ok = read_key(file, name, SERVER, *key, SERVER_KEYS, G_N_ELEMENTS(SERVER_KEYS), config, error);
        if (!is_ok)
            return false;
    }
    return true;
}

/* normalise_prefix: "/images" or "images/" as "images/"; "/" as "". */
static bool
normalise_prefix(ConfigSite *site, const char *name, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(site->prefix, "/", -1);
    GString *prefix = g_string_new(NULL);

    for (char **part = parts; *part != NULL; part++) {
        if (**part == '\0')
            continue;
        if (**part == '.' || (*part)[strspn(*part, NAME_CHARACTERS)] != '\0') {
            g_string_free(prefix, TRUE);
            return error_set_code(
                error, BASE_ERROR_USAGE,
                "%s: [%s%s] path: '%s': letters, digits, '-', '_' and '.' between slashes are "
                "expected",
                name, REPOSITORY, site->name, site->prefix);
        }
        g_string_append_printf(prefix, "%s/", *part);
    }
    g_free(site->prefix);
    site->prefix = g_string_free(prefix, FALSE);
    return true;
}

static bool
read_site(GKeyFile *file, const char *section, Config *config, const char *name, GError **error)
{
    const char *site_name = section + strlen(REPOSITORY);
    ConfigSite *site = site_new(site_name);
    g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);

    g_ptr_array_add(config->sites, site);
    if (*site_name == '\0' || *site_name == '.' || site_name[strspn(site_name, NAME_CHARACTERS)] != '\0')
        return error_set_code(error, BASE_ERROR_USAGE,
                              "%s: [%s]: a name of letters, digits, '-', '_' and '.' is expected", name,
                              section);
    for (char **key = keys; key != NULL && *key != NULL; key++)
        if (!read_key(file, name, section, *key, SITE_KEYS, G_N_ELEMENTS(SITE_KEYS), site, error))
            return false;
    if (site->dir == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "%s: [%s]: 'dir' is missing", name, section);
    if (site->host != NULL) {
        g_autofree char *host = g_steal_pointer(&site->host);

        site->host = g_ascii_strdown(host, -1);
    }
    return normalise_prefix(site, name, error);
}

/* The first site that matches is the one: the longest prefix, and one of a host before one of any. */
static int
compare_sites(const void *a, const void *b)
{
    const ConfigSite *first = *(ConfigSite *const *)a, *second = *(ConfigSite *const *)b;

    if ((first->host == NULL) != (second->host == NULL))
        return first->host == NULL ? 1 : -1;
    if (strlen(first->prefix) != strlen(second->prefix))
        return strlen(first->prefix) < strlen(second->prefix) ? 1 : -1;
    return strcmp(first->name, second->name);
}

static bool
check_sites(const Config *config, const char *name, GError **error)
{
    if (config->sites->len == 0 || config->sites->len > CONFIG_MAX_SITES)
        return error_set_code(error, BASE_ERROR_USAGE, "%s: 1 to %u sections [repository NAME] are expected",
                              name, CONFIG_MAX_SITES);
    for (guint i = 1; i < config->sites->len; i++) {
        const ConfigSite *one = g_ptr_array_index(config->sites, i - 1),
                         *other = g_ptr_array_index(config->sites, i);

        if (g_strcmp0(one->host, other->host) == 0 && strcmp(one->prefix, other->prefix) == 0)
            return error_set_code(error, BASE_ERROR_USAGE,
                                  "%s: the repositories '%s' and '%s' have the same host and path", name,
                                  one->name, other->name);
    }
    return true;
}

static bool
check_whole(const Config *config, const char *name, GError **error)
{
    bool has_tls = false;

    for (guint i = 0; i < config->listen->len; i++)
        has_tls |= ((ConfigListen *)g_ptr_array_index(config->listen, i))->is_tls;
    if ((has_tls && config->tls_certificate == NULL) ||
        (config->tls_certificate == NULL) != (config->tls_key == NULL))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "%s: [%s]: 'tls-listen' needs 'tls-certificate' and 'tls-key'", name, SERVER);
    if (config->tls_client_ca != NULL && config->tls_certificate == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "%s: [%s]: 'tls-client-ca' needs 'tls-certificate'",
                              name, SERVER);
    for (guint i = 0; i < config->sites->len; i++) {
        const ConfigSite *site = g_ptr_array_index(config->sites, i);

        if ((site->may_push || !site->is_public) && config->state_dir == NULL)
            return error_set_code(
                error, BASE_ERROR_USAGE,
                "%s: [%s%s]: 'push=yes' and 'public=no' need 'state' in [%s]: the tokens are there", name,
                REPOSITORY, site->name, SERVER);
    }
    return check_sites(config, name, error);
}

Config *
config_parse(const char *text, size_t size, const char *name, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(Config) config = config_new();
    g_autoptr(GError) local = NULL;
    g_auto(GStrv) sections = NULL;

    if (size > CONFIG_MAX_BYTES || memchr(text, '\0', size) != NULL) {
        error_set_code(error, BASE_ERROR_USAGE, "%s: no text, or larger than %u bytes", name,
                       CONFIG_MAX_BYTES);
        return NULL;
    }
    g_key_file_set_list_separator(file, ' ');
    if (size > 0 && !g_key_file_load_from_data(file, text, size, G_KEY_FILE_NONE, &local)) {
        error_set_code(error, BASE_ERROR_USAGE, "%s: %s", name, local->message);
        return NULL;
    }
    sections = g_key_file_get_groups(file, NULL);
    if (!read_server(file, config, name, error))
        return NULL;
    for (char **section = sections; *section != NULL; section++) {
        if (g_str_has_prefix(*section, REPOSITORY)) {
            if (!read_site(file, *section, config, name, error))
                return NULL;
        } else if (strcmp(*section, SERVER) != 0) {
            error_set_code(error, BASE_ERROR_USAGE, "%s: [%s]: no such section", name, *section);
            return NULL;
        }
    }
    g_ptr_array_sort(config->sites, compare_sites);
    return check_whole(config, name, error) ? g_steal_pointer(&config) : NULL;
}

/* is_host: @sent may end in a port, and in a dot (RFC 9110, 7.2; RFC 3986, 3.2.2). */
static bool
is_host(const char *wanted, const char *sent, size_t length)
{
    const size_t wanted_length = strlen(wanted);
    size_t at = wanted_length;

    if (length < wanted_length || g_ascii_strncasecmp(sent, wanted, wanted_length) != 0)
        return false;
    if (at < length && sent[at] == '.')
        at++;
    return at == length || sent[at] == ':';
}

const ConfigSite *
config_find_site(const Config *config, const char *host, size_t host_length, const char *path,
                 const char **out_rest)
{
    for (guint i = 0; i < config->sites->len; i++) {
        const ConfigSite *site = g_ptr_array_index(config->sites, i);

        if ((site->host == NULL || (host != NULL && is_host(site->host, host, host_length))) &&
            g_str_has_prefix(path, site->prefix)) {
            *out_rest = path + strlen(site->prefix);
            return site;
        }
    }
    return NULL;
}
