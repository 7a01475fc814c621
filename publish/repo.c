// SPDX-License-Identifier: Apache-2.0
/* The publisher's side of a repository: opening, creating, reading what is to be signed again, signing and
 * switching. */
#include "publish/repo.h"

#include "base/file.h"
#include "base/paths.h"
#include "publish/trust.h"

#include <string.h>

#define SECONDS_PER_DAY (24 * 60 * 60)
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

char *
publish_repo_key_home(const PublishRepo *repo, unsigned number)
{
    g_autofree char *keys = path_keys(), *first = publish_trust_key_name(repo->repo_id);
    g_autofree char *name = number > 1 ? g_strdup_printf("%s-%u", first, number) : g_strdup(first);

    return g_build_filename(keys, name, NULL);
}

/* read_notes: a fingerprint is there once the key is. */
static bool
read_notes(PublishRepo *repo, GError **error)
{
    g_auto(StoreNotes) notes = {0};

    if (!store_notes_read(repo->store, &notes, error))
        return false;
    repo->repo_id = g_steal_pointer(&notes.repo_id);
    repo->fingerprint = g_steal_pointer(&notes.fingerprint);
    repo->key_number = notes.key_number;
    repo->key_home = publish_repo_key_home(repo, repo->key_number);
    return true;
}

static bool
write_notes(PublishRepo *repo, GError **error)
{
    const StoreNotes notes = {repo->repo_id, repo->fingerprint, repo->key_number};

    return store_notes_write(repo->store, &notes, error);
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
adopt_or_create_key(PublishRepo *repo, SignKeyKind kind, const char *user_id, const SignSecret *secret,
                    GError **error)
{
    g_free(repo->fingerprint);
    if (g_file_test(repo->key_home, G_FILE_TEST_IS_DIR))
        repo->fingerprint = sign_key_fingerprint(repo->key_home, error);
    else
        repo->fingerprint = sign_key_create(repo->key_home, kind, user_id, 0, secret, error);
    return repo->fingerprint != NULL;
}

PublishRepo *
publish_repo_create(const char *location, SignKeyKind kind, const char *user_id, const SignSecret *secret,
                    GError **error)
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
        repo->key_number = 1;
        repo->key_home = publish_repo_key_home(repo, 1);
        /* Before the key: a later run must find the key that this one made. */
        if (!write_notes(repo, error))
            return NULL;
    }
    if (!adopt_or_create_key(repo, kind, user_id, secret, error) || !write_notes(repo, error))
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

/* verify_own: by the present key, or by one of those that it replaced: until the first index that it signs, and for
 * versions before that one. */
static SignVerified *
verify_own(const PublishRepo *repo, GBytes *text, GBytes *signature, const char *name, GError **error)
{
    g_autoptr(GError) problem = NULL;
    SignVerified *verified = sign_verify_own(repo->key_home, text, signature, name, &problem);

    for (unsigned number = repo->key_number - 1; verified == NULL && number > 0; number--) {
        g_autofree char *home = publish_repo_key_home(repo, number);

        verified = sign_verify_own(home, text, signature, name, NULL);
    }
    if (verified == NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    return verified;
}

/* open_texts: the index of @name's signature and owner verified. */
static Index *
open_texts(PublishRepo *repo, const StoreText *text, const StoreText *signature, const char *name,
           GError **error)
{
    g_autoptr(SignVerified) verified = verify_own(repo, text->content, signature->content, name, error);
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

/* sign_texts: @index as the next version: its text and both signatures. */
static bool
sign_texts(const PublishRepo *repo, Index *index, unsigned valid_days, GBytes **out_text, GBytes **out_clear,
           GBytes **out_detached, GError **error)
{
    char *printed;

    g_free(index->repo_id);
    index->repo_id = g_strdup(repo->repo_id);
    index->version++;
    index->created = g_get_real_time() / G_USEC_PER_SEC;
    index->expires = index->created + (int64_t)valid_days * SECONDS_PER_DAY;
    printed = index_print(index, error);
    if (printed == NULL)
        return false;
    *out_text = g_bytes_new_take(printed, strlen(printed));
    return sign_index(repo->key_home, *out_text, valid_days, out_clear, out_detached, error);
}

/* publish_texts: as one generation, with the keys and the trust of now. */
static bool
publish_texts(PublishRepo *repo, uint64_t version, GBytes *text, GBytes *clear, GBytes *detached,
              GBytes *keys, const PublishTrust *trust, GError **error)
{
    const StoreText texts[] = {{"index", text},    {"index.asc", clear},   {"index.sig", detached},
                               {"keys.asc", keys}, {"trust", trust->text}, {"trust.sig", trust->signatures}};
    const size_t n = G_N_ELEMENTS(texts) - (trust->chain == NULL ? 2 : 0);

    return store_publish(repo->store, version, texts, n, error) && remember_version(repo, version, error);
}

bool
publish_repo_write(PublishRepo *repo, Index *index, unsigned valid_days, GError **error)
{
    g_auto(PublishTrust) trust = {0};
    g_autoptr(GBytes) text = NULL, clear = NULL, detached = NULL, keys = NULL;

    if (!publish_trust_read(repo, &trust, error) || !publish_trust_names(&trust, repo->fingerprint, error) ||
        !sign_texts(repo, index, valid_days, &text, &clear, &detached, error))
        return false;
    keys = publish_trust_keys(repo, &trust, error);
    return keys != NULL && check_as_client(repo, index, text, clear, detached, keys, error) &&
           publish_texts(repo, index->version, text, clear, detached, keys, &trust, error);
}

bool
publish_repo_write_keys(PublishRepo *repo, GError **error)
{
    StoreText texts[] = {{"index", NULL}, {"index.asc", NULL}, {"index.sig", NULL}};
    g_auto(PublishTrust) trust = {0};
    g_autoptr(GBytes) keys = NULL;
    uint64_t version;
    bool is_ok = publish_trust_read(repo, &trust, error) &&
                 (keys = publish_trust_keys(repo, &trust, error)) != NULL &&
                 store_read_texts(repo->store, texts, G_N_ELEMENTS(texts), SIGN_MAX_TEXT, &version, error) &&
                 publish_texts(repo, version + 1, texts[0].content, texts[1].content, texts[2].content, keys,
                               &trust, error);

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        store_text_clear(&texts[i]);
    return is_ok;
}

char *
publish_repo_next_key(const PublishRepo *repo, GError **error)
{
    g_autofree char *home = publish_repo_key_home(repo, repo->key_number + 1);

    return sign_key_fingerprint(home, error);
}

bool
publish_repo_use_next_key(PublishRepo *repo, GError **error)
{
    g_autofree char *fingerprint = publish_repo_next_key(repo, error);

    if (fingerprint == NULL)
        return false;
    g_free(repo->fingerprint);
    repo->fingerprint = g_steal_pointer(&fingerprint);
    repo->key_number++;
    g_free(repo->key_home);
    repo->key_home = publish_repo_key_home(repo, repo->key_number);
    return write_notes(repo, error);
}

unsigned
publish_repo_valid_days(const Index *index)
{
    int64_t days = (index->expires - index->created + SECONDS_PER_DAY / 2) / SECONDS_PER_DAY;

    return days < 1 || days > PUBLISH_MAX_VALID_DAYS ? PUBLISH_VALID_DAYS : (unsigned)days;
}
