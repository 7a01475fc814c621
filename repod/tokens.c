// SPDX-License-Identifier: Apache-2.0
/*
 * The file of tokens:
 *
 *     ID secret:SHA256 CREATED EXPIRES DAILY-BYTES SCOPE[,SCOPE...] NOTE
 *
 * with one space between the fields, "certificate:" instead of "secret:" for a client certificate, and 0 for "never" and
 * "no limit".
 */
#include "repod/tokens.h"

#include <string.h>

#define HEADING "# Tokens of repod; 'virt-depot token' writes this file. It holds no secret.\n"
#define SECRET_PREFIX "vdt_"
#define N_FIELDS 7
#define NAME_CHARACTERS "-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
static const char ID_CHARACTERS[] = "abcdefghijklmnopqrstuvwxyz234567";

AccessRights
access_rights_parse(const char *text)
{
    if (strcmp(text, "read") == 0)
        return ACCESS_READ;
    if (strcmp(text, "push") == 0)
        return ACCESS_PUSH;
    return strcmp(text, "admin") == 0 ? ACCESS_ADMIN : ACCESS_NONE;
}

const char *
access_rights_print(AccessRights rights)
{
    switch (rights) {
    case ACCESS_READ:
        return "read";
    case ACCESS_PUSH:
        return "push";
    case ACCESS_ADMIN:
        return "admin";
    case ACCESS_NONE:
        break;
    }
    return "none";
}

static void
scope_free(void *data)
{
    TokenScope *scope = data;

    g_free(scope->repository);
    g_free(scope);
}

Token *
token_new(void)
{
    Token *token = g_new0(Token, 1);

    token->scopes = g_ptr_array_new_with_free_func(scope_free);
    token->note = g_strdup("");
    return token;
}

void
token_free(Token *token)
{
    if (token == NULL)
        return;
    g_ptr_array_unref(token->scopes);
    g_free(token->note);
    g_free(token);
}

bool
token_is_id(const char *text)
{
    return strlen(text) == TOKEN_ID_LENGTH && strspn(text, ID_CHARACTERS) == TOKEN_ID_LENGTH;
}

bool
token_add_scope(Token *token, const char *text, GError **error)
{
    const char *colon = strchr(text, ':'), *name = colon != NULL ? colon + 1 : "";
    g_autofree char *word = g_strndup(text, colon != NULL ? (gsize)(colon - text) : 0);
    AccessRights rights = access_rights_parse(word);
    TokenScope *scope;

    if (rights == ACCESS_NONE || *name == '\0' ||
        (strcmp(name, "*") != 0 && (*name == '.' || name[strspn(name, NAME_CHARACTERS)] != '\0')))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s': read, push or admin, a colon, and a repository's name or * are expected",
                              text);
    if (token->scopes->len == TOKEN_MAX_SCOPES)
        return error_set_code(error, BASE_ERROR_USAGE, "a token has at most %u scopes", TOKEN_MAX_SCOPES);
    scope = g_new0(TokenScope, 1);
    scope->rights = rights;
    scope->repository = g_strdup(name);
    g_ptr_array_add(token->scopes, scope);
    return true;
}

bool
token_set_note(Token *token, const char *note, GError **error)
{
    bool is_ok = strlen(note) <= TOKEN_MAX_NOTE && g_utf8_validate(note, -1, NULL);

    for (const char *at = note; is_ok && *at != '\0'; at = g_utf8_next_char(at))
        is_ok = g_unichar_isprint(g_utf8_get_char(at));
    if (!is_ok)
        return error_set_code(error, BASE_ERROR_USAGE, "a note is one line of at most %u bytes",
                              TOKEN_MAX_NOTE);
    g_free(token->note);
    token->note = g_strdup(note);
    return true;
}

AccessRights
token_rights(const Token *token, const char *repository)
{
    unsigned rights = ACCESS_NONE;

    for (guint i = 0; i < token->scopes->len; i++) {
        const TokenScope *scope = g_ptr_array_index(token->scopes, i);

        if (strcmp(scope->repository, "*") == 0 || g_strcmp0(scope->repository, repository) == 0)
            rights |= scope->rights;
    }
    return (AccessRights)rights;
}

char *
token_print_secret(const char *id, const uint8_t random[32])
{
    g_autofree char *text = g_base64_encode(random, 32);

    for (char *at = text; *at != '\0'; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    text[TOKEN_SECRET_LENGTH] = '\0'; /* without its '=' */
    return g_strconcat(SECRET_PREFIX, id, "_", text, NULL);
}

void
token_print_id(const uint8_t random[8], char out_id[TOKEN_ID_LENGTH + 1])
{
    uint64_t bits;

    memcpy(&bits, random, sizeof bits);
    for (unsigned i = 0; i < TOKEN_ID_LENGTH; i++, bits >>= 5)
        out_id[i] = ID_CHARACTERS[bits & 31];
    out_id[TOKEN_ID_LENGTH] = '\0';
}

bool
token_parse_digest(const char *hex, uint8_t out_digest[DIGEST_SHA256_BYTES])
{
    size_t n = 0;

    for (; *hex != '\0' && n < DIGEST_SHA256_BYTES; n++) {
        if (n > 0 && *hex == ':')
            hex++;
        if (!g_ascii_isxdigit(hex[0]) || !g_ascii_isxdigit(hex[1]))
            return false;
        out_digest[n] = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
        hex += 2;
    }
    return n == DIGEST_SHA256_BYTES && *hex == '\0';
}

static bool
parse_number(const char *text, uint64_t most, uint64_t *out_number)
{
    return g_ascii_isdigit(text[0]) && (text[0] != '0' || text[1] == '\0') &&
           g_ascii_string_to_unsigned(text, 10, 0, most, out_number, NULL);
}

static bool
parse_scopes(Token *token, const char *text, GError **error)
{
    g_auto(GStrv) scopes = g_strsplit(text, ",", TOKEN_MAX_SCOPES + 1);

    for (char **scope = scopes; *scope != NULL; scope++)
        if (!token_add_scope(token, *scope, error))
            return false;
    return true;
}

/* parse_credential: "secret:HEX" or "certificate:HEX". */
static bool
parse_credential(Token *token, const char *text)
{
    const char *colon = strchr(text, ':');

    token->is_certificate = g_str_has_prefix(text, "certificate:");
    return (token->is_certificate || g_str_has_prefix(text, "secret:")) && strlen(colon + 1) == 64 &&
           token_parse_digest(colon + 1, token->digest);
}

static Token *
parse_line(const char *line, GError **error)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", N_FIELDS);
    g_autoptr(Token) token = token_new();
    uint64_t created, expires;

    if (g_strv_length(fields) != N_FIELDS) {
        error_set(error, "%d fields are expected", N_FIELDS);
        return NULL;
    }
    if (!token_is_id(fields[0]) || !parse_credential(token, fields[1]) ||
        !parse_number(fields[2], G_MAXINT64, &created) || !parse_number(fields[3], G_MAXINT64, &expires) ||
        !parse_number(fields[4], G_MAXINT64, &token->daily_bytes)) {
        error_set(error, "no line of 'virt-depot token'");
        return NULL;
    }
    if (!parse_scopes(token, fields[5], error) || !token_set_note(token, fields[6], error))
        return NULL;
    memcpy(token->id, fields[0], sizeof token->id);
    token->created = (int64_t)created;
    token->expires = (int64_t)expires;
    return g_steal_pointer(&token);
}

/* add_line: a comment and an empty line are no token. */
static bool
add_line(GPtrArray *tokens, GHashTable *ids, const char *line, GError **error)
{
    Token *token;

    if (*line == '\0' || *line == '#')
        return true;
    if (tokens->len == TOKENS_MAX)
        return error_set(error, "more than %u tokens", TOKENS_MAX);
    token = parse_line(line, error);
    if (token == NULL)
        return false;
    g_ptr_array_add(tokens, token);
    return g_hash_table_add(ids, token->id) || error_set(error, "the id %s is there already", token->id);
}

GPtrArray *
tokens_parse(const char *text, size_t size, const char *name, GError **error)
{
    g_autoptr(GPtrArray) tokens = g_ptr_array_new_with_free_func((GDestroyNotify)token_free);
    g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);
    unsigned number = 1;

    if (size > TOKENS_MAX_BYTES) {
        error_set(error, "%s: larger than %u bytes", name, TOKENS_MAX_BYTES);
        return NULL;
    }
    for (const char *at = text, *end = text + size; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t length = (size_t)((stop != NULL ? stop : end) - at);
        g_autofree char *line = g_strndup(at, length);
        g_autoptr(GError) local = NULL;

        if (strlen(line) != length || stop == NULL)
            error_set(&local, "a cut line, or one with a NUL byte");
        else
            add_line(tokens, ids, line, &local);
        if (local != NULL) {
            error_set(error, "%s:%u: %s", name, number, local->message);
            return NULL;
        }
        at += length + 1;
    }
    return g_steal_pointer(&tokens);
}

char *
tokens_print(const GPtrArray *tokens)
{
    GString *out = g_string_new(HEADING);

    for (guint i = 0; i < tokens->len; i++) {
        const Token *token = g_ptr_array_index((GPtrArray *)tokens, i);

        g_string_append_printf(out, "%s %s:", token->id, token->is_certificate ? "certificate" : "secret");
        for (size_t n = 0; n < sizeof token->digest; n++)
            g_string_append_printf(out, "%02x", token->digest[n]);
        g_string_append_printf(out, " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT " ",
                               token->created, token->expires, token->daily_bytes);
        for (guint n = 0; n < token->scopes->len; n++) {
            const TokenScope *scope = g_ptr_array_index(token->scopes, n);

            g_string_append_printf(out, "%s%s:%s", n > 0 ? "," : "", access_rights_print(scope->rights),
                                   scope->repository);
        }
        g_string_append_printf(out, " %s\n", token->note);
    }
    return g_string_free(out, FALSE);
}

Token *
tokens_find(const GPtrArray *tokens, const char *id)
{
    for (guint i = 0; i < tokens->len; i++) {
        Token *token = g_ptr_array_index((GPtrArray *)tokens, i);

        if (strcmp(token->id, id) == 0)
            return token;
    }
    return NULL;
}

const Token *
tokens_find_secret(const GPtrArray *tokens, const char *secret, size_t length)
{
    const size_t id_at = strlen(SECRET_PREFIX);
    uint8_t digest[DIGEST_SHA256_BYTES];
    char id[TOKEN_ID_LENGTH + 1];
    const Token *token;

    if (length != id_at + TOKEN_ID_LENGTH + 1 + TOKEN_SECRET_LENGTH ||
        memcmp(secret, SECRET_PREFIX, id_at) != 0)
        return NULL;
    memcpy(id, secret + id_at, TOKEN_ID_LENGTH);
    id[TOKEN_ID_LENGTH] = '\0';
    digest_sha256(secret, length, digest);
    token = tokens_find(tokens, id);
    if (token == NULL || token->is_certificate || !digest_is_same(token->digest, digest, sizeof digest))
        return NULL;
    return token;
}

const Token *
tokens_find_certificate(const GPtrArray *tokens, const char *fingerprint)
{
    uint8_t digest[DIGEST_SHA256_BYTES];

    if (!token_parse_digest(fingerprint, digest))
        return NULL;
    for (guint i = 0; i < tokens->len; i++) {
        const Token *token = g_ptr_array_index((GPtrArray *)tokens, i);

        if (token->is_certificate && digest_is_same(token->digest, digest, sizeof digest))
            return token;
    }
    return NULL;
}
