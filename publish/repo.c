// SPDX-License-Identifier: Apache-2.0
/* The publisher's side of a repository: opening, creating, reading what is to be signed again, signing and
 * switching. */
#include "publish/repo.h"

#include "base/file.h"
#include "base/json.h"
#include "base/paths.h"

#include <string.h>

#define REPO_FORMAT 1
#define NOTES "repo.json"
#define MAX_PRIVATE (64u << 10)     /* repo.json is 200 bytes */
#define KEY_NAME_LENGTH 16          /* hex digits of the id: unique, and short enough for a socket's path */
#define LAST_VERSION "last-version" /* in the key's home: what was published last from this host */

void
publish_repo_free(PublishRepo *repo)
{
    if (repo == NULL)
        return;
    store_free(repo->store);
    g_free(repo->repo_id);
    g_free(repo->fingerprint);
    g_free(repo->key_home);
    g_free(repo);
}

/* key_home: from the id alone, so that nothing written in a repository can point to another one's key. */
static char *
key_home(const char *repo_id)
{
    g_autofree char *keys = path_keys();
    g_autoptr(GString) name = g_string_new(NULL);

    for (; *repo_id != '\0' && name->len < KEY_NAME_LENGTH; repo_id++) {
        if (g_ascii_isxdigit(*repo_id))
            g_string_append_c(name, g_ascii_tolower(*repo_id));
    }
    return g_build_filename(keys, name->str, NULL);
}

/* read_notes: repo.json. A fingerprint is there once the key is. */
static bool
read_notes(PublishRepo *repo, GError **error)
{
    g_autoptr(GBytes) bytes = store_read_private(repo->store, NOTES, MAX_PRIVATE, error);
    g_autofree char *name = g_strdup_printf("%s: repo.json", store_location(repo->store));
    g_autoptr(Json) json = NULL;
    const char *text, *repo_id, *fingerprint;
    gsize size;

    if (bytes == NULL)
        return false;
    text = g_bytes_get_data(bytes, &size);
    json = json_parse(text, size, name, error);
    if (json == NULL)
        return false;
    repo_id = json_get_text(json, "repo_id");
    fingerprint = json_get_text(json, "fingerprint");
    if (json_get_number(json, "format", 0) != REPO_FORMAT)
        return error_set(error, "%s: written by a newer virt-depot", name);
    if (repo_id == NULL || !g_uuid_string_is_valid(repo_id))
        return error_set(error, "%s: holds no valid repository id", name);
    if (fingerprint != NULL && !sign_is_fingerprint(fingerprint))
        return error_set(error, "%s: holds no valid fingerprint", name);
    repo->repo_id = g_strdup(repo_id);
    repo->fingerprint = g_strdup(fingerprint);
    repo->key_home = key_home(repo_id);
    return true;
}

static bool
write_notes(PublishRepo *repo, GError **error)
{
    g_autoptr(Json) json = json_new_object();
    g_autofree char *text = NULL;

    json_set_number(json, "format", REPO_FORMAT);
    json_set_text(json, "repo_id", repo->repo_id);
    json_set_text(json, "fingerprint", repo->fingerprint);
    text = json_print(json);
    return store_write_private(repo->store, NOTES, text, strlen(text), error);
}

PublishRepo *
publish_repo_open_reader(const char *location, GError **error)
{
    g_autoptr(PublishRepo) repo = g_new0(PublishRepo, 1);

    repo->store = store_open(location, error);
    if (repo->store == NULL || !read_notes(repo, error))
        return NULL;
    if (repo->fingerprint == NULL) {
        error_set(error, "%s: is unfinished; 'virt-depot repo init' completes it",
                  store_location(repo->store));
        return NULL;
    }
    return g_steal_pointer(&repo);
}

PublishRepo *
publish_repo_open(const char *location, GError **error)
{
    g_autoptr(PublishRepo) repo = publish_repo_open_reader(location, error);
    g_autofree char *fingerprint = NULL;

    if (repo == NULL)
        return NULL;
    fingerprint = sign_key_fingerprint(repo->key_home, error);
    if (fingerprint == NULL) {
        g_prefix_error(error, "%s: its signing key is not on this host: ", store_location(repo->store));
        return NULL;
    }
    if (g_strcmp0(fingerprint, repo->fingerprint) != 0) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: was made with key %s, but the key in %s is %s",
                       store_location(repo->store), repo->fingerprint, repo->key_home, fingerprint);
        return NULL;
    }
    return g_steal_pointer(&repo);
}

/* adopt_or_create_key: a key that a killed run completed is used, as nothing refers to it but this
 * repository. */
static bool
adopt_or_create_key(PublishRepo *repo, SignKeyKind kind, const char *user_id, GError **error)
{
    g_free(repo->fingerprint);
    if (g_file_test(repo->key_home, G_FILE_TEST_IS_DIR))
        repo->fingerprint = sign_key_fingerprint(repo->key_home, error);
    else
        repo->fingerprint = sign_key_create(repo->key_home, kind, user_id, 0, NULL, error);
    return repo->fingerprint != NULL;
}

PublishRepo *
publish_repo_create(const char *location, SignKeyKind kind, const char *user_id, GError **error)
{
    g_autoptr(PublishRepo) repo = g_new0(PublishRepo, 1);
    g_autoptr(GError) local = NULL;

    repo->store = store_create(location, error);
    if (repo->store == NULL)
        return NULL;
    if (!read_notes(repo, &local)) {
        if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return NULL;
        }
        repo->repo_id = g_uuid_string_random();
        repo->key_home = key_home(repo->repo_id);
        /* Before the key: a later run must find the key that this one made. */
        if (!write_notes(repo, error))
            return NULL;
    }
    if (!adopt_or_create_key(repo, kind, user_id, error) || !write_notes(repo, error))
        return NULL;
    return g_steal_pointer(&repo);
}

/* check_not_older: an old index is validly signed too. What this host published last says that it is old. */
static bool
check_not_older(const PublishRepo *repo, uint64_t version, GError **error)
{
    g_autofree char *path = g_build_filename(repo->key_home, LAST_VERSION, NULL);
    g_autoptr(GError) local = NULL;
    g_autoptr(GBytes) bytes = file_read(path, 64, &local);
    g_autofree char *text = NULL;
    uint64_t last;

    if (bytes == NULL && g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    if (!g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, G_MAXINT64, &last, &local))
        return error_set(error, "%s: holds no version number", path);
    if (version < last)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the current index is version %" G_GUINT64_FORMAT
                              ", but version %" G_GUINT64_FORMAT
                              " was published from here; if you restored a backup on purpose, remove %s",
                              store_location(repo->store), version, last, path);
    return true;
}

static bool
remember_version(const PublishRepo *repo, uint64_t version, GError **error)
{
    g_autofree char *path = g_build_filename(repo->key_home, LAST_VERSION, NULL);
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT "\n", version);

    return file_write_atomic(path, text, strlen(text), 0600, error);
}

/* parse_clean: an index that lost an entry in parsing must not be signed again. */
static Index *
parse_clean(GBytes *text, const char *name, GError **error)
{
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(Index) index = index_parse(text, name, &problems, error);

    if (index == NULL)
        return NULL;
    if (problems != NULL && problems->len > 0) {
        const IndexProblem *first = g_ptr_array_index(problems, 0);

        error_set(error, "%s:%u: %s", name, first->line, first->message);
        return NULL;
    }
    return g_steal_pointer(&index);
}

/* open_texts: the index of @name's signature and owner verified. */
static Index *
open_texts(PublishRepo *repo, const StoreText *text, const StoreText *signature, const char *name,
           GError **error)
{
    g_autoptr(SignVerified) verified =
        sign_verify_own(repo->key_home, text->content, signature->content, name, error);
    g_autoptr(Index) index = NULL;

    if (verified == NULL) {
        g_prefix_error(error, "this index will not be signed again: ");
        return NULL;
    }
    index = parse_clean(verified->text, name, error);
    if (index == NULL)
        return NULL;
    if (g_strcmp0(index->repo_id, repo->repo_id) != 0) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: belongs to repository %s, not to %s", name,
                       index->repo_id != NULL ? index->repo_id : "(none)", repo->repo_id);
        return NULL;
    }
    return g_steal_pointer(&index);
}

Index *
publish_repo_read(PublishRepo *repo, GError **error)
{
    g_autofree char *name = g_build_filename(store_location(repo->store), "index", NULL);
    StoreText texts[] = {{"index", NULL}, {"index.sig", NULL}};
    g_autoptr(Index) index = NULL;

    if (store_read_texts(repo->store, texts, G_N_ELEMENTS(texts), SIGN_MAX_TEXT, NULL, error))
        index = open_texts(repo, &texts[0], &texts[1], name, error);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        store_text_clear(&texts[i]);
    return index != NULL && check_not_older(repo, index->version, error) ? g_steal_pointer(&index) : NULL;
}

Index *
publish_repo_read_version(PublishRepo *repo, uint64_t version, GError **error)
{
    g_autofree char *name =
        g_strdup_printf("%s: version %" G_GUINT64_FORMAT, store_location(repo->store), version);
    StoreText texts[] = {{"index", NULL}, {"index.sig", NULL}};
    g_autoptr(Index) index = NULL;

    if (store_read_generation(repo->store, version, texts, G_N_ELEMENTS(texts), SIGN_MAX_TEXT, error))
        index = open_texts(repo, &texts[0], &texts[1], name, error);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        store_text_clear(&texts[i]);
    if (index != NULL && index->version != version) {
        error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: says that it is version %" G_GUINT64_FORMAT, name,
                       index->version);
        return NULL;
    }
    return g_steal_pointer(&index);
}

/* check_as_client: what is about to be published must satisfy those who pinned the key, in both forms. */
static bool
check_as_client(const PublishRepo *repo, const Index *index, GBytes *text, GBytes *clear, GBytes *detached,
                GBytes *keys, GError **error)
{
    const char *pins[] = {repo->fingerprint, NULL};
    const SignCheck check = {.keys = keys, .pins = pins, .name = "the new index"};
    g_autoptr(SignVerified) plain = sign_verify_detached(text, detached, &check, error);
    g_autoptr(SignVerified) armored = NULL;
    g_autoptr(Index) parsed = NULL;

    if (plain == NULL)
        return false;
    armored = sign_verify_clear(clear, &check, error);
    if (armored == NULL)
        return false;
    parsed = parse_clean(armored->text, "the new index.asc", error);
    if (parsed == NULL)
        return false;
    if (parsed->version != index->version || parsed->entries->len != index->entries->len)
        return error_set(error, "the new index.asc: reads differently from what was signed");
    return true;
}

bool
publish_repo_write(PublishRepo *repo, Index *index, unsigned valid_days, GError **error)
{
    g_autoptr(GBytes) text = NULL;
    g_autoptr(GBytes) clear = NULL;
    g_autoptr(GBytes) detached = NULL;
    g_autoptr(GBytes) keys = NULL;
    char *printed;

    g_free(index->repo_id);
    index->repo_id = g_strdup(repo->repo_id);
    index->version++;
    index->created = g_get_real_time() / G_USEC_PER_SEC;
    index->expires = index->created + (int64_t)valid_days * 24 * 60 * 60;
    printed = index_print(index, error);
    if (printed == NULL)
        return false;
    text = g_bytes_new_take(printed, strlen(printed));
    keys = sign_key_export(repo->key_home, error);
    if (keys == NULL || !sign_index(repo->key_home, text, valid_days, &clear, &detached, error) ||
        !check_as_client(repo, index, text, clear, detached, keys, error))
        return false;
    {
        const StoreText texts[] = {
            {"index", text}, {"index.asc", clear}, {"index.sig", detached}, {"keys.asc", keys}};

        return store_publish(repo->store, index->version, texts, G_N_ELEMENTS(texts), error) &&
               remember_version(repo, index->version, error);
    }
}
