// SPDX-License-Identifier: Apache-2.0
/* Pushing a repository to repod. The server verifies everything again; here it is verified so that nothing is sent in vain. */
#include "publish/push.h"

#include "base/interrupt.h"
#include "publish/history.h"

#include <string.h>
#include <sys/mman.h>

enum { INDEX, INDEX_ASC, INDEX_SIG, KEYS, TRUST };

void
publish_push_clear(PublishPush *push)
{
    g_clear_pointer(&push->missing, g_ptr_array_unref);
    g_clear_pointer(&push->files, g_ptr_array_unref);
    g_clear_pointer(&push->etag, g_free);
    g_clear_pointer(&push->message, g_bytes_unref);
}

/* read_texts: of one version; with the trust, if it has one. */
static bool
read_texts(PublishRepo *repo, StoreText texts[STORE_MAX_TEXTS], size_t *out_n_texts, GError **error)
{
    static const char *const NAMES[STORE_MAX_TEXTS] = {"index",    "index.asc", "index.sig",
                                                       "keys.asc", "trust",     "trust.sig"};
    g_autoptr(GError) local = NULL;

    for (size_t i = 0; i < STORE_MAX_TEXTS; i++)
        texts[i].name = NAMES[i];
    *out_n_texts = STORE_MAX_TEXTS;
    if (store_read_texts(repo->store, texts, STORE_MAX_TEXTS, STORE_MAX_PUSH, NULL, &local))
        return true;
    *out_n_texts = TRUST;
    return store_read_texts(repo->store, texts, TRUST, STORE_MAX_PUSH, NULL, error);
}

/* verify: (transfer full) the index as the server's clients would see it. */
static Index *
verify(const PublishRepo *repo, const StoreText *texts, GError **error)
{
    const char *pins[] = {repo->fingerprint, NULL};
    g_autofree char *name = g_strconcat(store_location(repo->store), "/index", NULL);
    SignCheck check = {.pins = pins, .name = name};
    g_autoptr(GBytes) keys = sign_select_key(texts[KEYS].content, repo->fingerprint, NULL, error);
    g_autoptr(SignVerified) verified = NULL;

    if (keys == NULL)
        return NULL;
    check.keys = keys;
    verified = sign_verify_detached(texts[INDEX].content, texts[INDEX_SIG].content, &check, error);
    return verified != NULL ? index_parse(verified->text, name, NULL, error) : NULL;
}

/* find_files: the store's blobs that @index needs. */
static GPtrArray *
find_files(PublishRepo *repo, const Index *index, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)store_blob_free);
    g_autoptr(GPtrArray) blobs = store_list_blobs(repo->store, error);
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer path;

    if (blobs == NULL)
        return NULL;
    publish_add_references(needed, index);
    for (guint i = 0; i < blobs->len; i++) {
        StoreBlob *blob = g_ptr_array_index(blobs, i);

        if (!g_hash_table_remove(needed, blob->path))
            continue;
        g_ptr_array_add(files, blob);
        blobs->pdata[i] = NULL;
    }
    g_hash_table_iter_init(&iter, needed);
    if (g_hash_table_iter_next(&iter, &path, NULL)) {
        error_set(error, "%s: %s is missing; 'virt-depot repo check' says more", store_location(repo->store),
                  (const char *)path);
        return NULL;
    }
    return g_steal_pointer(&files);
}

/* compare: whether the server's version is the one before ours, or ours. */
static bool
compare(const char *url, const Index *own, const Index *there, bool is_same, PublishPush *push,
        GError **error)
{
    push->there = there->version;
    push->is_same = is_same;
    if (is_same || there->version < own->version)
        return true;
    if (there->version == own->version)
        return error_set_code(error, BASE_ERROR_EXISTS,
                              "%s: has another version %" G_GUINT64_FORMAT
                              ": two publishers have gone different ways from the same version",
                              url, own->version);
    return error_set_code(error, BASE_ERROR_EXISTS,
                          "%s: has version %" G_GUINT64_FORMAT ", newer than version %" G_GUINT64_FORMAT
                          " here",
                          url, there->version, own->version);
}

/* look_at_server: what is published there. It is only compared, so its signature does not matter. */
static bool
look_at_server(NetClient *client, const char *url, const Index *own, GBytes *own_text, PublishPush *push,
               GError **error)
{
    g_autofree char *index_url = net_url_join(url, "index");
    g_auto(NetReply) reply = {0};
    g_autoptr(Index) there = NULL;
    g_autoptr(GError) local = NULL;

    if (!net_get(index_url, STORE_MAX_PUSH, NULL, net_client_limits(client), &reply, &local)) {
        if (g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
            return true;
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    there = index_parse(reply.body, index_url, NULL, error);
    if (there == NULL)
        return false;
    if (reply.etag == NULL)
        return error_set(error, "%s: the server gives it no ETag: is it a repod?", index_url);
    push->etag = g_steal_pointer(&reply.etag);
    return compare(url, own, there, g_bytes_equal(reply.body, own_text), push, error);
}

static bool
ask_for_file(NetClient *client, const char *url, StoreBlob *blob, PublishPush *push, GError **error)
{
    g_autofree char *file_url = net_url_join(url, blob->path);
    const NetSend head = {.method = "HEAD", .url = file_url, .fd = -1};
    g_auto(NetAnswer) answer = {0};

    if (!interrupt_check(error) || !net_client_send(client, &head, &answer, error))
        return false;
    if (answer.status == 200)
        return true;
    if (answer.status != 404 && answer.status != 204)
        return net_answer_error(&answer, file_url, error);
    g_ptr_array_add(push->missing, blob);
    push->bytes += blob->size - (answer.has_offset ? MIN(answer.offset, blob->size) : 0);
    return true;
}

static bool
plan(PublishRepo *repo, NetClient *client, const char *url, const StoreText *texts, size_t n_texts,
     PublishPush *push, GError **error)
{
    g_autoptr(Index) own = verify(repo, texts, error);

    if (own == NULL)
        return false;
    push->version = own->version;
    push->message = store_texts_print(texts, n_texts);
    if (g_bytes_get_size(push->message) > STORE_MAX_PUSH)
        return error_set(error, "%s: its texts are larger than the %u bytes that a server takes",
                         store_location(repo->store), STORE_MAX_PUSH);
    push->files = find_files(repo, own, error);
    push->missing = g_ptr_array_new();
    if (push->files == NULL || !look_at_server(client, url, own, texts[INDEX].content, push, error))
        return false;
    for (guint i = 0; !push->is_same && i < push->files->len; i++)
        if (!ask_for_file(client, url, g_ptr_array_index(push->files, i), push, error))
            return false;
    return true;
}

bool
publish_push_plan(PublishRepo *repo, NetClient *client, const char *url, PublishPush *out_push,
                  GError **error)
{
    StoreText texts[STORE_MAX_TEXTS] = {0};
    g_auto(PublishPush) push = {0};
    size_t n_texts = 0;
    bool is_ok =
        read_texts(repo, texts, &n_texts, error) && plan(repo, client, url, texts, n_texts, &push, error);

    for (size_t i = 0; i < STORE_MAX_TEXTS; i++)
        store_text_clear(&texts[i]);
    if (!is_ok)
        return false;
    *out_push = push;
    push = (PublishPush){0};
    return true;
}

bool
publish_push_files(PublishRepo *repo, NetClient *client, const char *url, const PublishPush *push,
                   GError **error)
{
    g_autoptr(Progress) progress = NULL;
    uint64_t total = 0, done = 0;

    for (guint i = 0; i < push->missing->len; i++)
        total += ((StoreBlob *)g_ptr_array_index(push->missing, i))->size;
    progress = progress_new("push", total);
    for (guint i = 0; i < push->missing->len; i++) {
        const StoreBlob *blob = g_ptr_array_index(push->missing, i);
        g_autofree char *file_url = net_url_join(url, blob->path);
        g_auto(Fd) fd = store_open_blob(repo->store, blob->path, error);
        const NetUpload upload = {file_url, fd, blob->size, progress, done};

        if (fd < 0 || !net_upload(client, &upload, error))
            return false;
        done += blob->size;
    }
    return true;
}

/* send_index: @fd: the message. */
static bool
send_index(NetClient *client, const char *url, const PublishPush *push, int fd, NetAnswer *out_answer,
           GError **error)
{
    g_autofree char *condition =
        push->etag != NULL ? g_strdup_printf("If-Match: %s", push->etag) : g_strdup("If-None-Match: *");
    const char *const headers[] = {"Content-Type: " STORE_PUSH_TYPE, condition, NULL};
    const NetSend send = {
        .method = "PUT",
        .url = url,
        .headers = headers,
        .has_body = true,
        .fd = fd,
        .size = g_bytes_get_size(push->message),
    };

    return net_client_send(client, &send, out_answer, error);
}

bool
publish_push_index(NetClient *client, const char *url, const PublishPush *push, GError **error)
{
    g_autofree char *index_url = net_url_join(url, "index");
    g_auto(Fd) fd = memfd_create("push", MFD_CLOEXEC);
    gsize size;
    const void *data = g_bytes_get_data(push->message, &size);

    if (fd < 0)
        return error_set_errno(error, "cannot hold the texts in memory");
    if (!fd_write_all(fd, data, size, "texts", error))
        return false;
    /* Only "busy" is tried again. Where the connection broke, nobody knows whether the server has switched: the next
     * push finds out. */
    for (unsigned failures = 1;; failures++) {
        g_auto(NetAnswer) answer = {0};

        if (!interrupt_check(error) || !send_index(client, index_url, push, fd, &answer, error))
            return false;
        if (answer.status == 200)
            return true;
        if (answer.status == 412 || answer.status == 409)
            return error_set_code(error, BASE_ERROR_EXISTS,
                                  "%s: somebody else has published meanwhile, nothing was changed: %s", url,
                                  answer.text);
        if (answer.status != 503 || failures > net_client_limits(client)->max_failures)
            return net_answer_error(&answer, index_url, error);
        net_client_pause(client, failures);
    }
}
