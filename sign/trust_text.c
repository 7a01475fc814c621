// SPDX-License-Identifier: Apache-2.0
/*
 * The texts of trust and of their signatures. Strict: one spelling for each content, so that nothing hides in
 * blanks, order or case, and nobody can argue about what was signed. Pure: bytes in, model out.
 */
#include "sign/armor.h"
#include "sign/sign.h"

#include <string.h>

#define MAGIC "virt-depot-trust: 1"
#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"
#define NOT_AFTER " not-after="
#define VERSION "version: "
#define SIGNATURE_BEGIN "-----BEGIN PGP SIGNATURE-----"
#define SIGNATURE_END "-----END PGP SIGNATURE-----"
#define MAX_LINE 128u /* the longest has two fingerprints' length */

static void
index_key_free(SignIndexKey *key)
{
    g_free(key->fingerprint);
    g_free(key);
}

SignTrust *
sign_trust_new(void)
{
    SignTrust *trust = g_new0(SignTrust, 1);

    trust->roots = g_new0(char *, 1);
    trust->index_keys = g_ptr_array_new_with_free_func((GDestroyNotify)index_key_free);
    return trust;
}

void
sign_trust_free(SignTrust *trust)
{
    if (trust == NULL)
        return;
    g_free(trust->repo_id);
    g_strfreev(trust->roots);
    g_ptr_array_unref(trust->index_keys);
    g_clear_pointer(&trust->text, g_bytes_unref);
    g_free(trust);
}

void
sign_trust_add_index_key(SignTrust *trust, const char *fingerprint, int64_t not_after)
{
    SignIndexKey *key = g_new0(SignIndexKey, 1);

    key->fingerprint = g_strdup(fingerprint);
    key->not_after = not_after;
    g_ptr_array_add(trust->index_keys, key);
}

bool
sign_trust_has_root(const SignTrust *trust, const char *fingerprint)
{
    return g_strv_contains((const char *const *)trust->roots, fingerprint);
}

const SignIndexKey *
sign_trust_index_key(const SignTrust *trust, const char *fingerprint)
{
    for (guint i = 0; i < trust->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(trust->index_keys, i);

        if (strcmp(key->fingerprint, fingerprint) == 0)
            return key;
    }
    return NULL;
}

static char *
print_time(int64_t unix_seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(unix_seconds);

    return time != NULL ? g_date_time_format(time, TIME_FORMAT) : g_strdup("-");
}

char *
sign_trust_print(const SignTrust *trust)
{
    g_autofree char *created = print_time(trust->created), *expires = print_time(trust->expires);
    GString *text = g_string_new(MAGIC "\n");

    g_string_append_printf(
        text, "repo-id: %s\n" VERSION "%" G_GUINT64_FORMAT "\ncreated: %s\nexpires: %s\nthreshold: %u\n",
        trust->repo_id, trust->version, created, expires, trust->threshold);
    for (char **root = trust->roots; *root != NULL; root++)
        g_string_append_printf(text, "root: %s\n", *root);
    for (guint i = 0; i < trust->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(trust->index_keys, i);
        g_autofree char *not_after = key->not_after != 0 ? print_time(key->not_after) : NULL;

        g_string_append_printf(text, "index: %s%s%s\n", key->fingerprint, not_after != NULL ? NOT_AFTER : "",
                               not_after != NULL ? not_after : "");
    }
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

/* Reader: lines that end with LF, of printable ASCII. */
typedef struct {
    const char *data;
    size_t size, position;
    unsigned line; /* number of the line read last, from 1 */
    const char *name;
    char text[MAX_LINE];
} Reader;

static bool
refuse(const Reader *reader, GError **error, const char *why)
{
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s:%u: %s", reader->name, reader->line, why);
}

static bool
next_line(Reader *reader, GError **error)
{
    const char *start = reader->data + reader->position;
    const char *end = memchr(start, '\n', reader->size - reader->position);

    reader->line++;
    if (end == NULL || (size_t)(end - start) >= MAX_LINE)
        return refuse(reader, error, end == NULL ? "the text is cut short" : "the line is too long");
    for (const char *at = start; at < end; at++)
        if (!g_ascii_isprint(*at))
            return refuse(reader, error, "a byte that is no printable ASCII");
    memcpy(reader->text, start, (size_t)(end - start));
    reader->text[end - start] = '\0';
    reader->position += (size_t)(end - start) + 1;
    return true;
}

/* value_of: (nullable) what follows @key in the present line. */
static const char *
value_of(const Reader *reader, const char *key)
{
    return g_str_has_prefix(reader->text, key) ? reader->text + strlen(key) : NULL;
}

static bool
next_value(Reader *reader, const char *key, const char **out_value, GError **error)
{
    if (!next_line(reader, error))
        return false;
    *out_value = value_of(reader, key);
    return *out_value != NULL || error_set_code(error, BASE_ERROR_UNTRUSTED, "%s:%u: '%s' is expected here",
                                                reader->name, reader->line, key);
}

static bool
parse_number(const char *text, uint64_t max, uint64_t *out_number)
{
    return text[0] != '0' && g_ascii_isdigit(text[0]) &&
           g_ascii_string_to_unsigned(text, 10, 1, max, out_number, NULL);
}

/* Exactly as print_time() writes it. */
static bool
parse_time(const char *text, int64_t *out_time)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
    g_autofree char *again = time != NULL ? print_time(g_date_time_to_unix(time)) : NULL;

    if (again == NULL || strcmp(again, text) != 0 || g_date_time_to_unix(time) <= 0)
        return false;
    *out_time = g_date_time_to_unix(time);
    return true;
}

static bool
is_normal_fingerprint(const char *text)
{
    return strlen(text) == SIGN_FINGERPRINT_DIGITS &&
           strspn(text, "0123456789ABCDEF") == SIGN_FINGERPRINT_DIGITS;
}

static bool
is_normal_uuid(const char *text)
{
    return g_uuid_string_is_valid(text) && strpbrk(text, "ABCDEF") == NULL;
}

static bool
parse_head(Reader *reader, SignTrust *trust, GError **error)
{
    uint64_t threshold = 0;
    const char *value;

    if (!next_line(reader, error))
        return false;
    if (strcmp(reader->text, MAGIC) != 0)
        return refuse(reader, error, "'" MAGIC "' is expected here; a newer virt-depot may be needed");
    if (!next_value(reader, "repo-id: ", &value, error))
        return false;
    if (!is_normal_uuid(value))
        return refuse(reader, error, "is no UUID in lower case");
    trust->repo_id = g_strdup(value);
    if (!next_value(reader, VERSION, &value, error))
        return false;
    if (!parse_number(value, SIGN_TRUST_MAX_VERSIONS, &trust->version))
        return refuse(reader, error, "is no version from 1 to 200");
    if (!next_value(reader, "created: ", &value, error))
        return false;
    if (!parse_time(value, &trust->created))
        return refuse(reader, error, "is no time like 2026-01-31T12:00:00Z");
    if (!next_value(reader, "expires: ", &value, error))
        return false;
    if (!parse_time(value, &trust->expires) || trust->expires <= trust->created)
        return refuse(reader, error, "is no time like 2026-01-31T12:00:00Z after the text's creation");
    if (!next_value(reader, "threshold: ", &value, error))
        return false;
    if (!parse_number(value, SIGN_TRUST_MAX_ROOTS, &threshold))
        return refuse(reader, error, "is no number from 1 to 16");
    trust->threshold = (unsigned)threshold;
    return true;
}

static bool
take_root(Reader *reader, const char *value, SignTrust *trust, GPtrArray *roots, GError **error)
{
    if (trust->index_keys->len > 0)
        return refuse(reader, error, "root keys stand before index keys");
    if (!is_normal_fingerprint(value))
        return refuse(reader, error, "is no fingerprint of 40 upper-case hex digits");
    if (g_ptr_array_find_with_equal_func(roots, value, g_str_equal, NULL))
        return refuse(reader, error, "the same root key again");
    if (roots->len >= SIGN_TRUST_MAX_ROOTS)
        return refuse(reader, error, "more than 16 root keys");
    g_ptr_array_add(roots, g_strdup(value));
    return true;
}

static bool
take_index_key(Reader *reader, const char *value, SignTrust *trust, GError **error)
{
    const char *suffix = strstr(value, NOT_AFTER);
    g_autofree char *fingerprint =
        suffix != NULL ? g_strndup(value, (gsize)(suffix - value)) : g_strdup(value);
    int64_t not_after = 0;

    if (!is_normal_fingerprint(fingerprint) ||
        (suffix != NULL && !parse_time(suffix + strlen(NOT_AFTER), &not_after)))
        return refuse(reader, error,
                      "is no fingerprint of 40 upper-case hex digits, or none with its 'not-after='");
    if (sign_trust_index_key(trust, fingerprint) != NULL)
        return refuse(reader, error, "the same index key again");
    if (trust->index_keys->len >= SIGN_TRUST_MAX_INDEX_KEYS)
        return refuse(reader, error, "more than 32 index keys");
    sign_trust_add_index_key(trust, fingerprint, not_after);
    return true;
}

/* parse_keys: up to the empty line that ends the text. */
static bool
parse_keys(Reader *reader, SignTrust *trust, GError **error)
{
    g_autoptr(GPtrArray) roots = g_ptr_array_new_with_free_func(g_free);

    while (next_line(reader, error)) {
        const char *root = value_of(reader, "root: "), *index = value_of(reader, "index: ");

        if (reader->text[0] == '\0') {
            if (roots->len < trust->threshold)
                return refuse(reader, error, "has fewer root keys than its threshold");
            if (trust->index_keys->len == 0)
                return refuse(reader, error, "names no index key");
            g_ptr_array_add(roots, NULL);
            g_strfreev(trust->roots);
            trust->roots = (char **)g_ptr_array_free(g_steal_pointer(&roots), FALSE);
            return true;
        }
        if (root == NULL && index == NULL)
            return refuse(reader, error, "'root: ', 'index: ' or an empty line is expected here");
        if (root != NULL ? !take_root(reader, root, trust, roots, error)
                         : !take_index_key(reader, index, trust, error))
            return false;
    }
    return false;
}

static SignTrust *
parse_next(Reader *reader, GBytes *bytes, GError **error)
{
    g_autoptr(SignTrust) trust = sign_trust_new();
    size_t start = reader->position;

    if (!parse_head(reader, trust, error) || !parse_keys(reader, trust, error))
        return NULL;
    trust->text = g_bytes_new_from_bytes(bytes, start, reader->position - start);
    return g_steal_pointer(&trust);
}

static bool
start_reading(Reader *reader, GBytes *bytes, const char *name, GError **error)
{
    gsize size;

    *reader = (Reader){.data = g_bytes_get_data(bytes, &size), .name = name};
    reader->size = size;
    if (size > SIGN_TRUST_MAX_BYTES || size == 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: is %s", name,
                              size == 0 ? "empty" : "larger than trust can be");
    return true;
}

SignTrust *
sign_trust_parse_one(GBytes *bytes, const char *name, GError **error)
{
    Reader reader;
    g_autoptr(SignTrust) trust = NULL;

    if (!start_reading(&reader, bytes, name, error))
        return NULL;
    trust = parse_next(&reader, bytes, error);
    if (trust != NULL && reader.position < reader.size) {
        refuse(&reader, error, "more follows after the end of the text");
        return NULL;
    }
    return g_steal_pointer(&trust);
}

GPtrArray *
sign_trust_parse(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)sign_trust_free);
    Reader reader;

    if (!start_reading(&reader, bytes, name, error))
        return NULL;
    while (reader.position < reader.size) {
        SignTrust *trust = parse_next(&reader, bytes, error);

        if (trust == NULL)
            return NULL;
        g_ptr_array_add(chain, trust);
        if (trust->version != chain->len ||
            strcmp(trust->repo_id, ((SignTrust *)g_ptr_array_index(chain, 0))->repo_id) != 0) {
            refuse(&reader, error, "this version does not follow the one before it");
            return NULL;
        }
    }
    return g_steal_pointer(&chain);
}

static void
signature_free(SignTrustSignature *signature)
{
    g_bytes_unref(signature->armour);
    g_free(signature);
}

/* parse_signature: "version: N" and one block, from its first line to its last. */
static SignTrustSignature *
parse_signature(Reader *reader, GBytes *bytes, GError **error)
{
    SignTrustSignature *signature;
    const char *value;
    uint64_t version;
    size_t start;

    if (!next_value(reader, VERSION, &value, error))
        return NULL;
    if (!parse_number(value, SIGN_TRUST_MAX_VERSIONS, &version)) {
        refuse(reader, error, "is no version from 1 to 200");
        return NULL;
    }
    start = reader->position;
    if (!next_line(reader, error))
        return NULL;
    if (strcmp(reader->text, SIGNATURE_BEGIN) != 0) {
        refuse(reader, error, "'" SIGNATURE_BEGIN "' is expected here");
        return NULL;
    }
    do {
        if (!next_line(reader, error))
            return NULL;
        if (reader->position - start > ARMOR_MAX_SIGNATURE) {
            refuse(reader, error, "the signature is too large");
            return NULL;
        }
    } while (strcmp(reader->text, SIGNATURE_END) != 0);
    signature = g_new0(SignTrustSignature, 1);
    signature->version = version;
    signature->armour = g_bytes_new_from_bytes(bytes, start, reader->position - start);
    return signature;
}

GPtrArray *
sign_trust_parse_signatures(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)signature_free);
    Reader reader;

    if (!start_reading(&reader, bytes, name, error))
        return NULL;
    while (reader.position < reader.size) {
        SignTrustSignature *signature = parse_signature(&reader, bytes, error);

        if (signature == NULL)
            return NULL;
        g_ptr_array_add(list, signature);
        if (list->len > SIGN_TRUST_MAX_SIGNATURES) {
            refuse(&reader, error, "more signatures than any trust needs");
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

void
sign_trust_print_signature(GString *to, uint64_t version, GBytes *armour)
{
    g_string_append_printf(to, VERSION "%" G_GUINT64_FORMAT "\n", version);
    g_string_append_len(to, g_bytes_get_data(armour, NULL), (gssize)g_bytes_get_size(armour));
}
