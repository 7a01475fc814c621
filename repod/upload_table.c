// SPDX-License-Identifier: Apache-2.0
/* The table of uploads. */
#include "repod/upload_table.h"

#include <pthread.h>
#include <unistd.h>

struct UploadTable {
    pthread_mutex_t lock;
    GHashTable *uploads; /* key -> Upload */
    unsigned n_sessions;
    uint64_t last_session;
};

static void
upload_free(void *data)
{
    Upload *upload = data;

    store_part_close(&upload->part);
    digest_free(upload->digest);
    g_free(upload->dir);
    g_free(upload);
}

UploadTable *
upload_table_new(void)
{
    UploadTable *table = g_new0(UploadTable, 1);

    pthread_mutex_init(&table->lock, NULL);
    table->uploads = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, upload_free);
    return table;
}

void
upload_table_free(UploadTable *table)
{
    if (table == NULL)
        return;
    g_hash_table_unref(table->uploads);
    pthread_mutex_destroy(&table->lock);
    g_free(table);
}

static Upload *
add(UploadTable *table, const char *dir, const char *key)
{
    Upload *upload = g_new0(Upload, 1);

    upload->dir = g_strdup(dir);
    upload->part = (StoreUpload)STORE_UPLOAD_NONE;
    g_hash_table_insert(table->uploads, g_strdup(key), upload);
    return upload;
}

UploadTaking
upload_table_take(UploadTable *table, const char *dir, const char *sha512, char **out_key,
                  uint64_t *out_session)
{
    g_autofree char *key = g_build_filename(dir, sha512, NULL);
    const int64_t now = g_get_monotonic_time();
    UploadTaking result = UPLOAD_TAKEN;
    Upload *upload;

    pthread_mutex_lock(&table->lock);
    upload = g_hash_table_lookup(table->uploads, key);
    if (upload != NULL && upload->session != 0 &&
        (upload->is_entered || now - upload->used_us < UPLOAD_SILENT_US)) {
        result = UPLOAD_BUSY;
    } else if ((upload == NULL || upload->session == 0) && table->n_sessions == UPLOADS_MAX) {
        result = UPLOAD_TOO_MANY;
    } else {
        if (upload == NULL)
            upload = add(table, dir, key);
        table->n_sessions += upload->session == 0;
        upload->session = *out_session = ++table->last_session;
        upload->used_us = now;
        *out_key = g_steal_pointer(&key);
    }
    pthread_mutex_unlock(&table->lock);
    return result;
}

/* find: with the lock. */
static Upload *
find(UploadTable *table, const char *key, uint64_t session)
{
    Upload *upload = g_hash_table_lookup(table->uploads, key);

    return upload != NULL && upload->session == session ? upload : NULL;
}

Upload *
upload_table_enter(UploadTable *table, const char *key, uint64_t session)
{
    Upload *upload;

    pthread_mutex_lock(&table->lock);
    upload = find(table, key, session);
    if (upload != NULL)
        upload->is_entered = true;
    pthread_mutex_unlock(&table->lock);
    return upload;
}

/* forget_oldest: with the lock. */
static void
forget_oldest(UploadTable *table)
{
    const char *oldest_key = NULL;
    const Upload *oldest = NULL;
    GHashTableIter iter;
    gpointer key, value;
    unsigned n = 0;

    g_hash_table_iter_init(&iter, table->uploads);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const Upload *upload = value;

        if (upload->session != 0)
            continue;
        n++;
        if (oldest == NULL || upload->used_us < oldest->used_us) {
            oldest = upload;
            oldest_key = key;
        }
    }
    if (n > UPLOADS_MAX_IDLE)
        g_hash_table_remove(table->uploads, oldest_key);
}

void
upload_table_leave(UploadTable *table, const char *key, bool is_over)
{
    Upload *upload;

    pthread_mutex_lock(&table->lock);
    upload = g_hash_table_lookup(table->uploads, key);
    upload->is_entered = false;
    upload->missing = upload->total > upload->offset ? upload->total - upload->offset : 0;
    upload->used_us = g_get_monotonic_time();
    if (is_over) {
        table->n_sessions--;
        g_hash_table_remove(table->uploads, key);
    }
    pthread_mutex_unlock(&table->lock);
}

void
upload_table_end(UploadTable *table, const char *key, uint64_t session)
{
    Upload *upload;

    pthread_mutex_lock(&table->lock);
    upload = find(table, key, session);
    if (upload != NULL) {
        /* What was reserved beyond its end goes back to the disk. */
        if (upload->part.fd >= 0 && ftruncate(upload->part.fd, (off_t)upload->offset) < 0)
            g_clear_pointer(&upload->digest, digest_free);
        store_part_close(&upload->part);
        upload->session = 0;
        upload->used_us = g_get_monotonic_time();
        table->n_sessions--;
        forget_oldest(table);
    }
    pthread_mutex_unlock(&table->lock);
}

uint64_t
upload_table_missing(UploadTable *table, const char *dir)
{
    uint64_t missing = 0;
    GHashTableIter iter;
    gpointer value;

    pthread_mutex_lock(&table->lock);
    g_hash_table_iter_init(&iter, table->uploads);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Upload *upload = value;

        if (upload->session != 0 && g_str_equal(upload->dir, dir))
            missing += upload->missing;
    }
    pthread_mutex_unlock(&table->lock);
    return missing;
}
