// SPDX-License-Identifier: Apache-2.0
/* A repository's trust as its publisher keeps it: one JSON file beside the signing keys, replaced as a whole. */
#include "publish/trust.h"

#include "base/file.h"
#include "base/json.h"
#include "base/paths.h"

#include <string.h>
#include <time.h>

#define KEY_NAME_LENGTH 16  /* hex digits of the id: unique, and short enough for a socket's path */
#define MAX_FILE (4u << 20) /* three texts of at most 1 MiB, with JSON's escapes of their line ends */

void
publish_trust_clear(PublishTrust *trust)
{
    g_clear_pointer(&trust->text, g_bytes_unref);
    g_clear_pointer(&trust->signatures, g_bytes_unref);
    g_clear_pointer(&trust->keys, g_bytes_unref);
    g_clear_pointer(&trust->chain, g_ptr_array_unref);
    g_clear_pointer(&trust->blocks, g_ptr_array_unref);
}

char *
publish_trust_key_name(const char *repo_id)
{
    GString *name = g_string_new(NULL);

    for (; *repo_id != '\0' && name->len < KEY_NAME_LENGTH; repo_id++) {
        if (g_ascii_isxdigit(*repo_id))
            g_string_append_c(name, g_ascii_tolower(*repo_id));
    }
    return g_string_free(name, FALSE);
}

static char *
trust_path(const PublishRepo *repo)
{
    g_autofree char *keys = path_keys(), *name = publish_trust_key_name(repo->repo_id);
    g_autofree char *leaf = g_strconcat(name, ".trust.json", NULL);

    return g_build_filename(keys, leaf, NULL);
}

static GBytes *
member(const Json *json, const char *key)
{
    const char *text = json_get_text(json, key);

    return g_bytes_new(text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static bool
parse(PublishTrust *trust, const char *name, GError **error)
{
    trust->chain = sign_trust_parse(trust->text, name, error);
    if (trust->chain == NULL)
        return false;
    trust->blocks = sign_trust_parse_signatures(trust->signatures, name, error);
    return trust->blocks != NULL;
}

bool
publish_trust_read(const PublishRepo *repo, PublishTrust *out_trust, GError **error)
{
    g_autofree char *path = trust_path(repo);
    g_auto(PublishTrust) trust = {0};
    g_autoptr(Json) json = NULL;

    *out_trust = (PublishTrust){0};
    if (!json_read(path, MAX_FILE, &json, error))
        return false;
    if (json == NULL)
        return true;
    trust.text = member(json, "trust");
    trust.signatures = member(json, "signatures");
    trust.keys = member(json, "keys");
    if (!parse(&trust, path, error))
        return false;
    *out_trust = trust;
    trust = (PublishTrust){0};
    return true;
}

const SignTrust *
publish_trust_last(const PublishTrust *trust)
{
    return trust->chain == NULL ? NULL : g_ptr_array_index(trust->chain, trust->chain->len - 1);
}

static GBytes *
joined(GBytes *first, GBytes *second)
{
    GByteArray *all = g_byte_array_new();

    if (first != NULL)
        g_byte_array_append(all, g_bytes_get_data(first, NULL), (guint)g_bytes_get_size(first));
    g_byte_array_append(all, g_bytes_get_data(second, NULL), (guint)g_bytes_get_size(second));
    return g_byte_array_free_to_bytes(all);
}

/* named: (transfer full) (element-type utf8) every key that any version names, and NULL. */
static GPtrArray *
named(const GPtrArray *chain)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < chain->len; i++) {
        const SignTrust *trust = g_ptr_array_index(chain, i);

        for (char **root = trust->roots; *root != NULL; root++)
            g_ptr_array_add(list, g_strdup(*root));
        for (guint n = 0; n < trust->index_keys->len; n++)
            g_ptr_array_add(list,
                            g_strdup(((SignIndexKey *)g_ptr_array_index(trust->index_keys, n))->fingerprint));
    }
    g_ptr_array_add(list, NULL);
    return list;
}

static bool
check_owner(const PublishRepo *repo, const SignTrust *trust, GError **error)
{
    g_autofree char *repo_id = g_ascii_strdown(repo->repo_id, -1);

    if (strcmp(trust->repo_id, repo_id) == 0)
        return true;
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: is repository %s, but the trust speaks of %s",
                          store_location(repo->store), repo->repo_id, trust->repo_id);
}

/* extended: the trust of @repo with @next as its last version, if that is good. */
static bool
extended(const PublishRepo *repo, GBytes *next, GBytes *signatures, GBytes *keys, PublishTrust *out_trust,
         GError **error)
{
    g_auto(PublishTrust) old = {0}, new = {0};
    g_autoptr(GPtrArray) blocks = g_ptr_array_new(), names = NULL;
    const SignTrust *last;

    if (!publish_trust_read(repo, &old, error))
        return false;
    new.text = joined(old.text, next);
    new.signatures = joined(old.signatures, signatures);
    if (!parse(&new, "the new trust", error))
        return false;
    last = publish_trust_last(&new);
    names = named(new.chain);
    if (old.keys != NULL)
        g_ptr_array_add(blocks, old.keys);
    g_ptr_array_add(blocks, keys);
    new.keys = sign_merge_keys(blocks, (const char *const *)names->pdata, error);
    if (new.keys == NULL || !check_owner(repo, last, error) ||
        !sign_trust_check(last, publish_trust_last(&old), new.blocks, new.keys, "the new trust", error))
        return false;
    if (last->expires <= (int64_t)time(NULL))
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "the new trust: has expired already; draft another");
    *out_trust = new;
    new = (PublishTrust){0};
    return true;
}

bool
publish_trust_check(const PublishRepo *repo, GBytes *next, GBytes *signatures, GBytes *keys, GError **error)
{
    g_auto(PublishTrust) trust = {0};

    return extended(repo, next, signatures, keys, &trust, error);
}

static void
set_bytes(Json *json, const char *key, GBytes *bytes)
{
    g_autofree char *text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));

    json_set_text(json, key, text);
}

bool
publish_trust_extend(const PublishRepo *repo, GBytes *next, GBytes *signatures, GBytes *keys, GError **error)
{
    g_autofree char *path = trust_path(repo), *text = NULL;
    g_auto(PublishTrust) trust = {0};
    g_autoptr(Json) json = json_new_object();

    if (!extended(repo, next, signatures, keys, &trust, error))
        return false;
    set_bytes(json, "trust", trust.text);
    set_bytes(json, "signatures", trust.signatures);
    set_bytes(json, "keys", trust.keys);
    text = json_print(json);
    return file_write_atomic(path, text, strlen(text), 0600, error);
}

bool
publish_trust_names(const PublishTrust *trust, const char *fingerprint, GError **error)
{
    const SignTrust *last = publish_trust_last(trust);
    const SignIndexKey *key = last != NULL ? sign_trust_index_key(last, fingerprint) : NULL;

    if (last == NULL)
        return true;
    if (key == NULL)
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "version %" G_GUINT64_FORMAT
            " of the trust does not name key %s, so clients would refuse what it signs; draft a "
            "version that does with 'virt-depot trust draft --index'",
            last->version, fingerprint);
    if (key->not_after != 0 && key->not_after < (int64_t)time(NULL))
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "version %" G_GUINT64_FORMAT
            " of the trust lets key %s sign no longer; draft a version that does with 'virt-depot "
            "trust draft --index'",
            last->version, fingerprint);
    return true;
}

GBytes *
publish_trust_keys(const PublishRepo *repo, const PublishTrust *trust, GError **error)
{
    g_autoptr(GPtrArray) blocks = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GBytes) own = sign_key_export(repo->key_home, error), others = NULL;

    if (own == NULL)
        return NULL;
    if (trust->keys != NULL)
        g_ptr_array_add(blocks, g_bytes_ref(trust->keys));
    for (unsigned number = 1; number <= repo->key_number + 1; number++) {
        g_autofree char *home = publish_repo_key_home(repo, number);
        GBytes *keys = number != repo->key_number && g_file_test(home, G_FILE_TEST_IS_DIR)
                           ? sign_key_export(home, NULL)
                           : NULL;

        if (keys != NULL)
            g_ptr_array_add(blocks, keys);
    }
    if (blocks->len == 0)
        return g_steal_pointer(&own);
    others = sign_merge_keys(blocks, NULL, error);
    return others != NULL ? joined(others, own) : NULL;
}
