// SPDX-License-Identifier: Apache-2.0
/*
 * Checking a repository from the outside in: links, signatures, index, files, and what nothing refers to. Each step
 * adds findings; one that cannot go on ends the steps that depend on it. The files' content is for check_files.c.
 */
#include "publish/check.h"

#include "publish/check_files.h"
#include "publish/check_trust.h"
#include "publish/history.h"

#include <string.h>

#define EXPIRY_WARNING_SECONDS (3 * 24 * 60 * 60) /* a daily timer has failed more than once by then */

enum { INDEX, INDEX_ASC, INDEX_SIG, KEYS, N_TEXTS };

void
publish_check_clear(PublishCheck *check)
{
    g_clear_pointer(&check->findings, g_ptr_array_unref);
    g_clear_pointer(&check->fixed, g_ptr_array_unref);
}

static bool
check_links(PublishRepo *repo, const PublishCheckOptions *options, PublishCheck *check, GError **error)
{
    g_autoptr(GPtrArray) broken = NULL;

    if (!store_check_links(repo->store, options->fix, &broken, error))
        return false;
    for (guint i = 0; i < broken->len; i++) {
        const char *name = g_ptr_array_index(broken, i);

        if (options->fix)
            g_ptr_array_add(check->fixed, g_strdup_printf("%s: points to the current version again", name));
        else
            finding_add(check->findings, FINDING_ERROR, name, 0,
                        "does not point to the current version; --fix mends it");
    }
    return true;
}

/* check_signatures: the verified text, or NULL with findings added. */
static GBytes *
check_signatures(PublishRepo *repo, const StoreText *texts, PublishCheck *check)
{
    const char *pins[] = {repo->fingerprint, NULL};
    SignCheck rule = {.pins = pins, .policy = SIGN_STRICT, .name = "index"};
    g_autoptr(GError) error = NULL;
    g_autoptr(SignVerified) plain = NULL;
    g_autoptr(SignVerified) clear = NULL;
    g_autoptr(GBytes) keys = sign_select_key(texts[KEYS].content, repo->fingerprint, NULL, &error);

    if (keys == NULL) {
        finding_add(check->findings, FINDING_ERROR, "keys.asc", 0, "%s", error->message);
        return NULL;
    }
    rule.keys = keys;
    plain = sign_verify_detached(texts[INDEX].content, texts[INDEX_SIG].content, &rule, &error);
    if (plain == NULL)
        finding_add(check->findings, FINDING_ERROR, "index.sig", 0, "%s", error->message);
    g_clear_error(&error);
    rule.name = "index.asc";
    clear = sign_verify_clear(texts[INDEX_ASC].content, &rule, &error);
    if (clear == NULL)
        finding_add(check->findings, FINDING_ERROR, "index.asc", 0, "%s", error->message);
    if (plain == NULL || clear == NULL)
        return NULL;
    if (!index_is_same_text(plain->text, clear->text)) {
        finding_add(check->findings, FINDING_ERROR, "index.asc", 0, "says something else than 'index'");
        return NULL;
    }
    return g_bytes_ref(plain->text);
}

static void
check_dates(const Index *index, PublishCheck *check)
{
    const int64_t now = g_get_real_time() / G_USEC_PER_SEC;

    if (index->expires == 0)
        finding_add(check->findings, FINDING_WARNING, "index", 0,
                    "states no expiry: clients can be held at this version for ever");
    else if (index->expires <= now)
        finding_add(check->findings, FINDING_ERROR, "index", 0,
                    "has expired: clients refuse it; 'virt-depot repo sign' renews it");
    else if (index->expires <= now + EXPIRY_WARNING_SECONDS)
        finding_add(check->findings, FINDING_WARNING, "index", 0,
                    "expires within three days; does the timer of 'virt-depot repo sign' run?");
}

/* check_index: (transfer full) the index of the verified text; @texts with every line that a client would meet. */
static Index *
check_index(const PublishRepo *repo, const StoreText *texts, GBytes *text, uint64_t version,
            PublishCheck *check)
{
    Index *index = index_parse(text, "index", NULL, NULL);
    g_autoptr(Index) armored =
        index_check(texts[INDEX_ASC].content, NULL, "index.asc", true, check->findings);

    (void)armored; /* its findings are what counts */
    if (index == NULL)
        return NULL;
    if (g_strcmp0(index->repo_id, repo->repo_id) != 0)
        finding_add(check->findings, FINDING_ERROR, "index", 0, "belongs to repository %s, not to %s",
                    index->repo_id != NULL ? index->repo_id : "(none)", repo->repo_id);
    if (index->version != version)
        finding_add(check->findings, FINDING_ERROR, "index", 0,
                    "says that it is version %" G_GUINT64_FORMAT ", but stands in gen/%" G_GUINT64_FORMAT,
                    index->version, version);
    check_dates(index, check);
    return index;
}

/* check_texts: (transfer full) (nullable) the current index, as far as it can be believed. */
static Index *
check_texts(PublishRepo *repo, PublishCheck *check, uint64_t *out_version)
{
    StoreText texts[N_TEXTS] = {
        {"index", NULL}, {"index.asc", NULL}, {"index.sig", NULL}, {"keys.asc", NULL}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) text = NULL;
    Index *index = NULL;

    if (!store_read_texts(repo->store, texts, N_TEXTS, SIGN_MAX_TEXT, out_version, &error))
        finding_add(check->findings, FINDING_ERROR, "current", 0, "%s", error->message);
    else
        text = check_signatures(repo, texts, check);
    check->is_trusted = text != NULL;
    if (text != NULL) {
        index = check_index(repo, texts, text, *out_version, check);
        check_trust(repo, *out_version, texts[KEYS].content, check->findings);
    }
    for (size_t i = 0; i < N_TEXTS; i++)
        store_text_clear(&texts[i]);
    return index;
}

/* add_needs_of_history: what the older versions refer to stays, and each should find it. */
static bool
add_needs_of_history(PublishRepo *repo, uint64_t current, GHashTable *needed, const GHashTable *present,
                     PublishCheck *check, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(repo->store, error);

    for (guint i = 0; generations != NULL && i < generations->len; i++) {
        const uint64_t version = g_array_index(generations, StoreGeneration, i).version;
        g_autofree char *name = g_strdup_printf("gen/%" G_GUINT64_FORMAT, version);
        g_autoptr(GHashTable) blobs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_auto(StoreText) text = {"index", NULL};
        g_autoptr(GError) local = NULL;
        GHashTableIter iter;
        gpointer path;

        if (version == current)
            continue;
        if (!store_read_generation(repo->store, version, &text, 1, SIGN_MAX_TEXT, &local)) {
            finding_add(check->findings, FINDING_WARNING, name, 0, "cannot be rolled back to: %s",
                        local->message);
            continue;
        }
        publish_add_text_references(blobs, text.content);
        g_hash_table_iter_init(&iter, blobs);
        while (g_hash_table_iter_next(&iter, &path, NULL)) {
            if (!g_hash_table_contains((GHashTable *)present, path))
                finding_add(check->findings, FINDING_WARNING, name, 0, "cannot be rolled back to: %s is gone",
                            (const char *)path);
            g_hash_table_iter_steal(&iter);
            g_hash_table_add(needed, path);
        }
    }
    return generations != NULL;
}

/* check_unneeded: blobs that a killed publisher or a remove left. */
static bool
check_unneeded(PublishRepo *repo, const PublishCheckOptions *options, const GPtrArray *blobs,
               GHashTable *needed, PublishCheck *check, GError **error)
{
    for (guint i = 0; i < blobs->len; i++) {
        const StoreBlob *blob = g_ptr_array_index(blobs, i);

        if (g_hash_table_contains(needed, blob->path))
            continue;
        if (!options->fix) {
            finding_add(check->findings, FINDING_WARNING, blob->path, 0,
                        "no version needs this file; --fix removes it");
            continue;
        }
        if (!store_remove_blob(repo->store, blob->path, error))
            return false;
        g_ptr_array_add(check->fixed, g_strdup_printf("%s: removed, as no version needed it", blob->path));
    }
    return true;
}

static bool
check_blobs(PublishRepo *repo, const PublishCheckOptions *options, const Index *index, uint64_t version,
            PublishCheck *check, GError **error)
{
    g_autoptr(GPtrArray) blobs = store_list_blobs(repo->store, error);
    g_autoptr(GHashTable) present = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (blobs == NULL)
        return false;
    for (guint i = 0; i < blobs->len; i++) {
        StoreBlob *blob = g_ptr_array_index(blobs, i);

        g_hash_table_insert(present, blob->path, blob);
    }
    publish_add_references(needed, index);
    check->n_images = index->entries->len;
    check->n_files = g_hash_table_size(needed);
    return check_files(repo->store, index, present, options, check->findings, error) &&
           add_needs_of_history(repo, version, needed, present, check, error) &&
           check_unneeded(repo, options, blobs, needed, check, error);
}

bool
publish_check(PublishRepo *repo, const PublishCheckOptions *options, PublishCheck *out_check, GError **error)
{
    g_auto(PublishCheck) check = {finding_list_new(), g_ptr_array_new_with_free_func(g_free), false, 0, 0};
    g_autoptr(Index) index = NULL;
    uint64_t version = 0;

    if (!check_links(repo, options, &check, error))
        return false;
    index = check_texts(repo, &check, &version);
    /* Without a believed index nobody can say what is needed, and nothing is removed. */
    if (index != NULL && !check_blobs(repo, options, index, version, &check, error))
        return false;
    *out_check = check;
    check = (PublishCheck){0};
    return true;
}
