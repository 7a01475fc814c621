// SPDX-License-Identifier: Apache-2.0
/* Sources as key files: reading, storing, listing. */
#include "fetch/source.h"

#include "base/file.h"
#include "base/paths.h"
#include "fetch/cache.h"
#include "fetch/reposd.h"
#include "fetch/trust_state.h"
#include "net/net.h"
#include "sign/sign.h"

#include <string.h>

#define GROUP "source"
#define MAX_CONF_BYTES (64u << 10) /* a handful of lines */

static char *
source_path(const char *name, const char *suffix)
{
    g_autofree char *config = path_config();
    g_autofree char *leaf = g_strconcat(name, suffix, NULL);

    return g_build_filename(config, "sources.d", leaf, NULL);
}

/* The boolean @key; *@flag stays where it is absent. */
static bool
read_flag(GKeyFile *file, const char *key, bool *flag, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, key, NULL);

    if (text == NULL)
        return true;
    *flag = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    return *flag || strcmp(text, "no") == 0 || strcmp(text, "false") == 0 ||
           error_set_code(error, BASE_ERROR_USAGE, "'%s' is neither yes nor no", key);
}

/* The fingerprints in the list @key, normalised; none where it is absent. */
static bool
read_fingerprints(GKeyFile *file, const char *key, char ***out_list, GError **error)
{
    g_auto(GStrv) texts = g_key_file_get_string_list(file, GROUP, key, NULL, NULL);
    guint n = texts == NULL ? 0 : g_strv_length(texts);
    g_auto(GStrv) list = g_new0(char *, n + 1);

    for (guint i = 0; i < n; i++)
        if ((list[i] = sign_normal_fingerprint(texts[i], error)) == NULL)
            return false;
    g_strfreev(*out_list);
    *out_list = g_steal_pointer(&list);
    return true;
}

static bool
read_threshold(GKeyFile *file, Source *source, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, "threshold", NULL);
    guint n = g_strv_length(source->roots);
    guint64 threshold = MIN(n, 1);

    if (text != NULL && (n == 0 || !g_ascii_string_to_unsigned(text, 10, 1, n, &threshold, NULL)))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'threshold' is not a number from 1 to that of 'roots'");
    source->threshold = (unsigned)threshold;
    return true;
}

static bool
read_pins(GKeyFile *file, Source *source, GError **error)
{
    g_autofree char *keys = source_path(source->name, ".asc");

    if (!read_fingerprints(file, "fingerprints", &source->pins, error) ||
        !read_fingerprints(file, "roots", &source->roots, error) || !read_threshold(file, source, error))
        return false;
    if (*source->pins == NULL && *source->roots == NULL) /* never taken for "unsigned": that has to be said */
        return error_set_code(error, BASE_ERROR_USAGE, "neither 'fingerprints', 'roots' nor 'unsigned=yes'");
    source->keys = file_read(keys, SIGN_MAX_KEYS, error);
    return source->keys != NULL;
}

/* The whole number @key from @min to @max; *@number stays where it is absent. */
static bool
read_number(GKeyFile *file, const char *key, gint64 min, gint64 max, gint64 *number, GError **error)
{
    g_autofree char *text = g_key_file_get_string(file, GROUP, key, NULL);

    if (text != NULL && !g_ascii_string_to_signed(text, 10, min, max, number, NULL))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s' is not a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key, min,
                              max);
    return true;
}

/* Where and how: everything but whom to trust. */
static bool
read_place(GKeyFile *file, Source *source, GError **error)
{
    g_autofree char *format = g_key_file_get_string(file, GROUP, "format", NULL);
    gint64 priority = source->priority, max_age = source->max_age;
    char **mirrors = g_key_file_get_string_list(file, GROUP, "mirrors", NULL, NULL);

    if (mirrors != NULL) {
        g_strfreev(source->mirrors);
        source->mirrors = mirrors;
    }
    for (char **mirror = source->mirrors; *mirror != NULL; mirror++)
        if (!net_url_check(*mirror, error))
            return false;
    source->proxy = g_key_file_get_string(file, GROUP, "proxy", NULL);
    if (g_strcmp0(source->proxy, "system") == 0)
        g_clear_pointer(&source->proxy, g_free);
    source->ca = g_key_file_get_string(file, GROUP, "ca", NULL);
    source->client_cert = g_key_file_get_string(file, GROUP, "client-cert", NULL);
    source->client_key = g_key_file_get_string(file, GROUP, "client-key", NULL);
    source->credential = g_key_file_get_string(file, GROUP, "credential", NULL);
    if ((format != NULL && !source_format_parse(format, &source->format, error)) ||
        !read_number(file, "priority", -SOURCE_MAX_PRIORITY, SOURCE_MAX_PRIORITY, &priority, error) ||
        !read_flag(file, "strict", &source->is_strict, error) ||
        !read_number(file, "max-age", 0, SOURCE_MAX_AGE, &max_age, error) ||
        !source_check_access(source, error))
        return false;
    source->priority = (int)priority;
    source->max_age = (int)max_age;
    return true;
}

static bool
read_fields(GKeyFile *file, Source *source, GError **error)
{
    if (!read_flag(file, "enabled", &source->is_enabled, error))
        return false;
    source->uri = g_key_file_get_string(file, GROUP, "uri", source->is_enabled ? error : NULL);
    if (source->uri == NULL && !source->is_enabled) { /* all there is to say: nothing of that name, please */
        source->uri = g_strdup("");
        source->is_unsigned = false;
        return g_key_file_has_group(file, GROUP) ||
               error_set_code(error, BASE_ERROR_USAGE, "there is no group [%s]", GROUP);
    }
    if (source->uri == NULL || !net_url_check(source->uri, error) || !read_place(file, source, error) ||
        !read_flag(file, "unsigned", &source->is_unsigned, error))
        return false;
    source->repo_id = g_key_file_get_string(file, GROUP, "repo-id", NULL);
    return source->is_unsigned || read_pins(file, source, error);
}

bool
source_is_stored(const char *name)
{
    g_autofree char *path = source_is_name(name) ? source_path(name, ".conf") : NULL;

    return path != NULL && g_file_test(path, G_FILE_TEST_EXISTS);
}

/* read_own: from our own folder. @name: checked */
static Source *
read_own(const char *name, GError **error)
{
    g_autoptr(Source) source = source_new(name, NULL);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GBytes) text = NULL;

    source->file = source_path(name, ".conf");
    text = file_read(source->file, MAX_CONF_BYTES, error);
    if (text == NULL)
        return NULL;
    if (!g_key_file_load_from_bytes(file, text, G_KEY_FILE_NONE, error) ||
        !read_fields(file, source, error)) {
        g_prefix_error(error, "%s: ", source->file);
        return NULL;
    }
    return g_steal_pointer(&source);
}

Source *
source_read(const char *name, GError **error)
{
    g_autoptr(GPtrArray) others = NULL, warnings = g_ptr_array_new_with_free_func(g_free);

    if (!source_is_name(name)) {
        error_set_code(error, BASE_ERROR_USAGE, "'%s': not a name of a source", name);
        return NULL;
    }
    if (source_is_stored(name))
        return read_own(name, error);
    others = reposd_read(name, warnings);
    if (others->len > 0)
        return g_ptr_array_steal_index(others, 0);
    if (warnings->len > 0) { /* there is something of that name, and why it does not count */
        error_set(error, "%s", (const char *)g_ptr_array_index(warnings, 0));
        return NULL;
    }
    error_set_code(error, BASE_ERROR_NOT_FOUND, "there is no source '%s'", name);
    return NULL;
}

static void
write_list(GKeyFile *file, const char *key, char *const *list)
{
    if (*list != NULL)
        g_key_file_set_string_list(file, GROUP, key, (const char *const *)list, g_strv_length((char **)list));
}

/* What differs from the defaults. */
static void
write_place(GKeyFile *file, const Source *source)
{
    const struct {
        const char *key, *value;
    } TEXTS[] = {{"proxy", source->proxy},
                 {"ca", source->ca},
                 {"client-cert", source->client_cert},
                 {"client-key", source->client_key},
                 {"credential", source->credential}};

    if (source->format != SOURCE_NATIVE)
        g_key_file_set_string(file, GROUP, "format", source_format_name(source->format));
    if (!source->is_enabled)
        g_key_file_set_string(file, GROUP, "enabled", "no");
    if (source->priority != SOURCE_PRIORITY)
        g_key_file_set_integer(file, GROUP, "priority", source->priority);
    if (source->is_strict)
        g_key_file_set_string(file, GROUP, "strict", "yes");
    if (source->max_age >= 0)
        g_key_file_set_integer(file, GROUP, "max-age", source->max_age);
    write_list(file, "mirrors", source->mirrors);
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++)
        if (TEXTS[i].value != NULL)
            g_key_file_set_string(file, GROUP, TEXTS[i].key, TEXTS[i].value);
}

bool
source_write(const Source *source, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *conf = source_path(source->name, ".conf"), *keys = source_path(source->name, ".asc");
    g_autofree char *folder = g_path_get_dirname(conf), *text = NULL;
    gsize size;

    g_key_file_set_string(file, GROUP, "uri", source->uri);
    write_place(file, source);
    if (source->is_unsigned)
        g_key_file_set_string(file, GROUP, "unsigned", "yes");
    write_list(file, "fingerprints", source->pins);
    write_list(file, "roots", source->roots);
    if (source->threshold > 0)
        g_key_file_set_integer(file, GROUP, "threshold", (gint)source->threshold);
    if (source->repo_id != NULL)
        g_key_file_set_string(file, GROUP, "repo-id", source->repo_id);
    text = g_key_file_to_data(file, &size, NULL);
    if (!file_make_dirs(folder, 0755, error))
        return false;
    if (source->keys != NULL) {
        gsize key_size;
        const void *key_data = g_bytes_get_data(source->keys, &key_size);

        if (!file_write_atomic(keys, key_data, key_size, 0644, error))
            return false;
    }
    return file_write_atomic(conf, text, size, 0644, error);
}

bool
source_remove(const char *name, GError **error)
{
    g_autofree char *conf = NULL, *keys = NULL, *cached = NULL;

    if (!source_is_name(name))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not a name of a source", name);
    conf = source_path(name, ".conf");
    keys = source_path(name, ".asc");
    cached = cache_index_folder(name);
    if (!source_is_stored(name)) {
        g_autoptr(Source) other = source_read(name, error);

        return other != NULL &&
               error_set_code(
                   error, BASE_ERROR_NOT_FOUND,
                   "source '%s' is virt-builder's, from %s, which is left alone; a file %s with the lines "
                   "'[source]' and 'enabled=no' hides it",
                   name, other->file, conf);
    }
    return file_remove(conf, error) && file_remove(keys, error) && file_remove_tree(cached, error) &&
           trust_state_forget(name, error);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* virt-builder's, but those whose name one of ours has, readable or not. */
static void
add_others(GPtrArray *sources, const GPtrArray *names, GPtrArray *warnings)
{
    g_autoptr(GPtrArray) others = reposd_read(NULL, warnings);

    while (others->len > 0) {
        g_autoptr(Source) other = g_ptr_array_steal_index(others, 0);
        bool is_ours = false;

        for (guint i = 0; i < names->len; i++)
            is_ours = is_ours || strcmp(g_ptr_array_index(names, i), other->name) == 0;
        if (!is_ours)
            g_ptr_array_add(sources, g_steal_pointer(&other));
    }
}

GPtrArray *
source_read_all(GPtrArray *warnings)
{
    g_autofree char *config = path_config();
    g_autofree char *folder = g_build_filename(config, "sources.d", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL); /* not there: no sources */
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *sources = g_ptr_array_new_with_free_func((GDestroyNotify)source_free);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *name = g_str_has_suffix(leaf, ".conf") ? g_strndup(leaf, strlen(leaf) - 5) : NULL;

        if (name != NULL && source_is_name(name)) /* leaves out what file_write_atomic() left behind, too */
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        g_autoptr(GError) error = NULL;
        Source *source = read_own(g_ptr_array_index(names, i), &error);

        if (source != NULL)
            g_ptr_array_add(sources, source);
        else
            g_ptr_array_add(warnings, g_strdup(error->message));
    }
    add_others(sources, names, warnings);
    return sources;
}
