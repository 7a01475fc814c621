// SPDX-License-Identifier: Apache-2.0
/*
 * From a pushed message to a switch: parse, compare with what is published, verify, look for the blobs, publish. Everything from
 * the comparison on happens under the repository's lock.
 */
#include "repod/push_apply.h"

#include "repod/push_check.h"
#include "repod/response.h"

#include <string.h>
#include <sys/stat.h>

/* A switch that found nothing wrong but another publisher at work: the client tries again. */
#define BUSY "somebody else is publishing here: try again\n"

void
push_result_clear(PushResult *result)
{
    g_clear_pointer(&result->text, g_free);
}

static bool result_set(PushResult *result, int status, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool
result_set(PushResult *result, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    result->status = status;
    result->text = g_strdup_vprintf(format, args);
    va_end(args);
    return false;
}

static bool
fail_internally(PushResult *result, const GError *error)
{
    result->is_internal = true;
    return result_set(result, 500, "%s", error->message);
}

/* check_etag: whether the current index is the one that the client has seen. */
static bool
check_etag(Store *store, const char *etag, PushResult *result)
{
    g_autofree char *path = g_build_filename(store_location(store), "index", NULL);
    struct stat status;
    FileFacts facts;

    if (!store_has_version(store))
        return etag == NULL ||
               result_set(result, 412, "nothing has been published here yet: If-None-Match: * is expected\n");
    if (etag == NULL)
        return result_set(result, 412, "there is an index already: look at it first\n");
    if (stat(path, &status) < 0)
        return result_set(result, 412, "the current index cannot be read\n");
    response_file_facts("index", &status, &facts);
    return strcmp(etag, facts.etag) == 0 ||
           result_set(result, 412, "another version was published meanwhile: nothing was changed\n");
}

/* publish: with the notes that say whose repository it is; before the first switch, as without them it is nobody's. */
static bool
publish(Store *store, const PushIndex *pushed, const StoreText *texts, size_t n_texts, PushResult *result)
{
    const StoreNotes notes = {pushed->repo_id, pushed->fingerprint, pushed->notes.key_number};
    const bool must_note = g_strcmp0(pushed->notes.repo_id, notes.repo_id) != 0 ||
                           g_strcmp0(pushed->notes.fingerprint, notes.fingerprint) != 0;
    const bool is_first = !store_has_version(store);
    g_autoptr(GError) error = NULL;
    bool is_ok = (!is_first || !must_note || store_notes_write(store, &notes, &error)) &&
                 store_publish(store, pushed->version, texts, n_texts, &error) &&
                 (is_first || !must_note || store_notes_write(store, &notes, &error));

    return is_ok || fail_internally(result, error);
}

static bool
apply_locked(const ConfigSite *site, Store *store, const StoreText *texts, size_t n_texts, const char *etag,
             PushResult *result)
{
    g_auto(PushIndex) pushed = {0};
    g_autoptr(GError) error = NULL;

    if (!check_etag(store, etag, result))
        return false;
    if (!push_check(site, store, texts, n_texts, &pushed, &error)) {
        result->version = pushed.version;
        return result_set(result, g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS) ? 409 : 422, "%s\n",
                          error->message);
    }
    result->version = pushed.version;
    return publish(store, &pushed, texts, n_texts, result) &&
           result_set(result, 200, "version %" G_GUINT64_FORMAT " is published\n", pushed.version);
}

static void
apply(const ConfigSite *site, const StoreText *texts, size_t n_texts, const char *etag, PushResult *result)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) store = store_open_target(site->dir, &error);

    if (store == NULL) {
        fail_internally(result, error);
        return;
    }
    if (!store_lock(store, false, &error)) {
        if (g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS))
            result_set(result, 503, BUSY);
        else
            fail_internally(result, error);
        return;
    }
    apply_locked(site, store, texts, n_texts, etag, result);
}

void
push_apply(const ConfigSite *site, GBytes *message, const char *etag, PushResult *out_result)
{
    StoreText texts[STORE_MAX_TEXTS] = {0};
    g_autoptr(GError) error = NULL;
    size_t n_texts = 0;

    *out_result = (PushResult){0};
    if (store_texts_parse(message, texts, &n_texts, &error))
        apply(site, texts, n_texts, etag, out_result);
    else
        result_set(out_result, 400, "the message %s\n", error->message);
    for (size_t i = 0; i < STORE_MAX_TEXTS; i++)
        store_text_clear(&texts[i]);
}
