// SPDX-License-Identifier: Apache-2.0
/* virt-depot token create, list and revoke: who may do what on a repod. Only a hash of each secret stays here. */
#include "base/file.h"
#include "base/json.h"
#include "repod/config.h"
#include "repod/repod.h"
#include "repod/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define DEFAULT_STATE "/var/lib/repod"
#define DEFAULT_VALID "90d"

static char *option_state, *option_config, *option_valid, *option_daily, *option_note, *option_certificate,
    *option_output;
static gboolean option_json, option_dry_run;

static const char STATE_HELP[] = "The server's state (default: " DEFAULT_STATE ")";
static const char CONFIG_HELP[] = "Read from this repod.conf where its state is";
static const char JSON_HELP[] = "Print the result as JSON";

static const GOptionEntry CREATE_OPTIONS[] = {
    {"state", 0, 0, G_OPTION_ARG_FILENAME, &option_state, STATE_HELP, "DIR"},
    {"config", 0, 0, G_OPTION_ARG_FILENAME, &option_config, CONFIG_HELP, "FILE"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, JSON_HELP, NULL},
    {"valid", 0, 0, G_OPTION_ARG_STRING, &option_valid,
     "How long it is good, as in 12h or 30d; 0 for ever (default: " DEFAULT_VALID ")", "AGE"},
    {"daily", 0, 0, G_OPTION_ARG_STRING, &option_daily, "How much it may upload in a day (UTC), as in 100G",
     "SIZE"},
    {"note", 0, 0, G_OPTION_ARG_STRING, &option_note, "Whose it is, for people", "TEXT"},
    {"certificate", 0, 0, G_OPTION_ARG_STRING, &option_certificate,
     "Not a secret but the client certificate with this SHA-256 fingerprint", "HEX"},
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &option_output, "Write the secret to a new FILE of mode 0600",
     "FILE"},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry LIST_OPTIONS[] = {
    {"state", 0, 0, G_OPTION_ARG_FILENAME, &option_state, STATE_HELP, "DIR"},
    {"config", 0, 0, G_OPTION_ARG_FILENAME, &option_config, CONFIG_HELP, "FILE"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, JSON_HELP, NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry REVOKE_OPTIONS[] = {
    {"state", 0, 0, G_OPTION_ARG_FILENAME, &option_state, STATE_HELP, "DIR"},
    {"config", 0, 0, G_OPTION_ARG_FILENAME, &option_config, CONFIG_HELP, "FILE"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, JSON_HELP, NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be revoked and change nothing",
     NULL},
    G_OPTION_ENTRY_NULL,
};

/* find_state: (transfer full) */
static char *
find_state(GError **error)
{
    g_autoptr(GBytes) text = NULL;
    g_autoptr(Config) config = NULL;

    if (option_config == NULL)
        return g_strdup(option_state != NULL ? option_state : DEFAULT_STATE);
    if (option_state != NULL) {
        error_set_code(error, BASE_ERROR_USAGE, "--state and --config exclude each other");
        return NULL;
    }
    text = file_read(option_config, CONFIG_MAX_BYTES, error);
    if (text != NULL)
        config = config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), option_config, error);
    if (config == NULL)
        return NULL;
    if (config->state_dir == NULL)
        error_set_code(error, BASE_ERROR_USAGE, "%s: names no 'state', where the tokens would be",
                       option_config);
    return g_strdup(config->state_dir);
}

static bool
open_file(bool is_writer, TokenFile *out_file, GError **error)
{
    g_autofree char *state = find_state(error);

    return state != NULL && token_file_open(state, is_writer, out_file, error);
}

/* print_scopes: (transfer full) */
static char *
print_scopes(const Token *token)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < token->scopes->len; i++) {
        const TokenScope *scope = g_ptr_array_index(token->scopes, i);

        g_string_append_printf(out, "%s%s:%s", i > 0 ? "," : "", access_rights_print(scope->rights),
                               scope->repository);
    }
    return g_string_free(out, FALSE);
}

static Json *
token_json(const Token *token)
{
    Json *json = json_new_object(), *scopes = json_new_array();

    json_set_text(json, "id", token->id);
    json_set_text(json, "kind", token->is_certificate ? "certificate" : "secret");
    json_set_number(json, "created", token->created);
    json_set_number(json, "expires", token->expires);
    json_set_number(json, "daily_bytes", (int64_t)token->daily_bytes);
    for (guint i = 0; i < token->scopes->len; i++) {
        const TokenScope *scope = g_ptr_array_index(token->scopes, i);
        g_autofree char *text = g_strconcat(access_rights_print(scope->rights), ":", scope->repository, NULL);

        json_append_text(scopes, text);
    }
    json_set(json, "scopes", scopes);
    json_set_text(json, "note", token->note);
    return json;
}

static void
print_json(const Json *json)
{
    g_autofree char *text = json_print(json);

    fputs(text, stdout);
}

static bool
fill_random(void *data, size_t size, GError **error)
{
    return getrandom(data, size, 0) == (ssize_t)size || error_set_errno(error, "cannot get random bytes");
}

/* make_token: what the options and @scopes say, with a new id. */
static Token *
make_token(char **scopes, GError **error)
{
    g_autoptr(Token) token = token_new();
    uint8_t random[8];
    int64_t valid;

    for (; *scopes != NULL; scopes++)
        if (!token_add_scope(token, *scopes, error))
            return NULL;
    if (!cli_parse_age(option_valid != NULL ? option_valid : DEFAULT_VALID, &valid, error)) {
        g_prefix_error(error, "--valid: ");
        return NULL;
    }
    if (option_daily != NULL && !cli_parse_size(option_daily, &token->daily_bytes, error)) {
        g_prefix_error(error, "--daily: ");
        return NULL;
    }
    if (!token_set_note(token, option_note != NULL ? option_note : "", error) ||
        !fill_random(random, sizeof random, error))
        return NULL;
    token_print_id(random, token->id);
    token->created = g_get_real_time() / G_USEC_PER_SEC;
    token->expires = valid > 0 ? token->created + valid : 0;
    return g_steal_pointer(&token);
}

/* make_secret: (transfer full) (nullable) what the client has to keep. */
static bool
make_secret(Token *token, char **out_secret, GError **error)
{
    uint8_t random[32];

    token->is_certificate = option_certificate != NULL;
    if (token->is_certificate)
        return token_parse_digest(option_certificate, token->digest) ||
               error_set_code(error, BASE_ERROR_USAGE, "--certificate: 64 hex digits are expected");
    if (!fill_random(random, sizeof random, error))
        return false;
    *out_secret = token_print_secret(token->id, random);
    explicit_bzero(random, sizeof random);
    digest_sha256(*out_secret, strlen(*out_secret), token->digest);
    return true;
}

/* open_output: as the caller, not as the owner of the server's state. */
static bool
open_output(Fd *out_fd, GError **error)
{
    if (option_output == NULL)
        return true;
    *out_fd = open(option_output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *out_fd >= 0 || error_set_errno(error, "%s: cannot make it", option_output);
}

static bool
show_created(const Token *token, const char *secret, int output, GError **error)
{
    g_autoptr(Json) json = token_json(token);
    g_autofree char *line = secret != NULL ? g_strconcat(secret, "\n", NULL) : NULL;

    if (output >= 0 && !fd_write_all(output, line, strlen(line), option_output, error))
        return false;
    if (option_json) {
        json_set_text(json, "secret", output < 0 ? secret : NULL);
        print_json(json);
    } else if (secret == NULL || output >= 0) {
        printf("%s\n", token->id);
    } else {
        fputs(line, stdout);
        cli_note("this is shown once; keep it in a file that nobody else can read (id %s)", token->id);
    }
    return true;
}

static bool
create_token(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_auto(TokenFile) file = {.lock = -1};
    g_auto(Fd) output = -1;
    g_autoptr(Token) token = NULL;
    g_autofree char *secret = NULL;
    bool is_ok;

    if (option_output != NULL && option_certificate != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--output: a certificate's token has no secret");
    token = make_token(argv, error);
    if (token == NULL || !make_secret(token, &secret, error) || !open_output(&output, error))
        return false;
    is_ok = open_file(true, &file, error);
    if (is_ok && file.tokens->len >= TOKENS_MAX)
        is_ok = error_set(error, "%s: has %u tokens already", file.path, TOKENS_MAX);
    if (is_ok) {
        const Token *added = token;

        g_ptr_array_add(file.tokens, g_steal_pointer(&token));
        is_ok = token_file_write(&file, error) && show_created(added, secret, output, error);
    }
    if (!is_ok && option_output != NULL)
        unlink(option_output);
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    return is_ok;
}

static bool
list_tokens(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
    static const char *const HEADING[] = {"ID", "KIND", "SCOPES", "EXPIRES", "DAILY", "NOTE"};
    g_auto(TokenFile) file = {.lock = -1};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) json = json_new_array();

    if (!open_file(false, &file, error))
        return false;
    for (guint i = 0; i < file.tokens->len; i++) {
        const Token *token = g_ptr_array_index(file.tokens, i);
        char **row = g_new0(char *, G_N_ELEMENTS(HEADING) + 1);

        json_append(json, token_json(token));
        row[0] = g_strdup(token->id);
        row[1] = g_strdup(token->is_certificate ? "certificate" : "secret");
        row[2] = print_scopes(token);
        row[3] = cli_format_time(token->expires);
        row[4] = token->daily_bytes > 0 ? cli_format_size(token->daily_bytes) : g_strdup("-");
        row[5] = g_strdup(token->note);
        g_ptr_array_add(rows, row);
    }
    if (option_json)
        print_json(json);
    else
        cli_print_table(HEADING, rows);
    return true;
}

/* check_known: all of them, before any is revoked. */
static bool
check_known(const TokenFile *file, char **ids, GError **error)
{
    for (; *ids != NULL; ids++)
        if (tokens_find(file->tokens, *ids) == NULL)
            return error_set_code(error, BASE_ERROR_NOT_FOUND,
                                  "%s: there is no token with that id; 'virt-depot token list' shows them",
                                  *ids);
    return true;
}

static bool
revoke_tokens(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_auto(TokenFile) file = {.lock = -1};
    g_autoptr(Json) json = json_new_object();
    Json *revoked = json_new_array();

    json_set(json, "revoked", revoked);
    json_set_flag(json, "dry_run", option_dry_run);
    if (!open_file(true, &file, error) || !check_known(&file, argv, error))
        return false;
    for (; *argv != NULL; argv++) {
        Token *token = tokens_find(file.tokens, *argv);

        if (token != NULL) /* else named twice */
            g_ptr_array_remove(file.tokens, token);
        json_append_text(revoked, *argv);
    }
    if (!option_dry_run && !token_file_write(&file, error))
        return false;
    if (option_json)
        print_json(json);
    return true;
}

const Verb REPOD_VERB_TOKEN_CREATE = {
    .name = "token create",
    .arguments = "SCOPE...",
    .summary = "Make a token for a repod",
    .description =
        "A SCOPE is read, push or admin, a colon, and the repository's name in repod.conf or * for all.",
    .options = CREATE_OPTIONS,
    .min_arguments = 1,
    .max_arguments = -1,
    .run = create_token,
};

const Verb REPOD_VERB_TOKEN_LIST = {
    .name = "token list",
    .arguments = "",
    .summary = "List the tokens of a repod",
    .options = LIST_OPTIONS,
    .min_arguments = 0,
    .max_arguments = 0,
    .run = list_tokens,
};

const Verb REPOD_VERB_TOKEN_REVOKE = {
    .name = "token revoke",
    .arguments = "ID...",
    .summary = "Revoke tokens of a repod",
    .options = REVOKE_OPTIONS,
    .min_arguments = 1,
    .max_arguments = -1,
    .run = revoke_tokens,
};
