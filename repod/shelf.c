// SPDX-License-Identifier: Apache-2.0
/* Catalogues are made by one thread at a time, once for each version, and given to all. */
#include "repod/shelf.h"

#include "base/digest.h"
#include "repod/api.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* What could not be read is tried again after this: its reason may go without a new version. */
#define RETRY_US (10 * G_USEC_PER_SEC)

/* Identity: which version is published. A link that was replaced is another inode, or has another time. */
typedef struct {
    uint64_t inode;
    int64_t seconds, nanoseconds;
} Identity;

struct Shelf {
    atomic_uint n_users;
    ConfigSite site; /* name, dir and fingerprints alone */
    char *current;   /* DIR/current */

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t made;
    ShelfView *view; /* NULL: none yet */
    Identity identity;
    int64_t retry_us; /* monotonic; 0: never */
    bool is_making;
    GHashTable *known;  /* of catalogue_read(); the maker's alone */
    GHashTable *counts; /* path -> ShelfCount */
    ShelfCount other_count;
};

void
shelf_view_unref(ShelfView *view)
{
    if (view == NULL || atomic_fetch_sub(&view->n_users, 1) > 1)
        return;
    catalogue_free(view->catalogue);
    page_free(view->page);
    g_bytes_unref(view->index);
    g_bytes_unref(view->history);
    g_free(view);
}

static ShelfView *
view_ref(ShelfView *view)
{
    if (view != NULL)
        atomic_fetch_add(&view->n_users, 1);
    return view;
}

Shelf *
shelf_new(const ConfigSite *site)
{
    Shelf *shelf = g_new0(Shelf, 1);

    atomic_init(&shelf->n_users, 1);
    shelf->site.name = g_strdup(site->name);
    shelf->site.dir = g_strdup(site->dir);
    shelf->site.fingerprints = g_strdupv(site->fingerprints);
    shelf->current = g_build_filename(site->dir, "current", NULL);
    pthread_mutex_init(&shelf->lock, NULL);
    pthread_cond_init(&shelf->made, NULL);
    shelf->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    shelf->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return shelf;
}

Shelf *
shelf_ref(Shelf *shelf)
{
    atomic_fetch_add(&shelf->n_users, 1);
    return shelf;
}

void
shelf_unref(Shelf *shelf)
{
    if (shelf == NULL || atomic_fetch_sub(&shelf->n_users, 1) > 1)
        return;
    shelf_view_unref(shelf->view);
    g_free(shelf->site.name);
    g_free(shelf->site.dir);
    g_strfreev(shelf->site.fingerprints);
    g_free(shelf->current);
    g_hash_table_unref(shelf->known);
    g_hash_table_unref(shelf->counts);
    pthread_cond_destroy(&shelf->made);
    pthread_mutex_destroy(&shelf->lock);
    g_free(shelf);
}

static bool
is_same_list(char *const *a, char *const *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return g_strv_equal((const char *const *)a, (const char *const *)b);
}

bool
shelf_fits(const Shelf *shelf, const ConfigSite *site)
{
    return strcmp(shelf->site.name, site->name) == 0 && strcmp(shelf->site.dir, site->dir) == 0 &&
           is_same_list(shelf->site.fingerprints, site->fingerprints);
}

static Identity
identify(const Shelf *shelf)
{
    struct stat st;

    if (lstat(shelf->current, &st) < 0)
        return (Identity){0, 0, 0};
    return (Identity){st.st_ino, st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
}

/* With the lock held. */
static bool
is_fresh(const Shelf *shelf, const Identity *now)
{
    const int64_t expires = shelf->view != NULL ? shelf->view->catalogue->expires_at : 0;

    return shelf->view != NULL && memcmp(&shelf->identity, now, sizeof *now) == 0 &&
           (shelf->retry_us == 0 || g_get_monotonic_time() < shelf->retry_us) &&
           (shelf->view->catalogue->problem != NULL || expires == 0 || time(NULL) < expires);
}

ShelfView *
shelf_peek(Shelf *shelf)
{
    const Identity now = identify(shelf);
    ShelfView *view;

    pthread_mutex_lock(&shelf->lock);
    view = is_fresh(shelf, &now) ? view_ref(shelf->view) : NULL;
    pthread_mutex_unlock(&shelf->lock);
    return view;
}

static void
set_etag(ShelfView *view)
{
    static const char version[] = VD_VERSION; /* another program makes another page of the same index */
    Digest *digest = digest_new(DIGEST_SHA256);
    g_autofree char *hex = NULL;

    digest_update(digest, version, sizeof version);
    digest_update(digest, g_bytes_get_data(view->page->text, NULL), g_bytes_get_size(view->page->text));
    digest_update(digest, g_bytes_get_data(view->index, NULL), g_bytes_get_size(view->index));
    digest_update(digest, g_bytes_get_data(view->history, NULL), g_bytes_get_size(view->history));
    hex = digest_finish(digest);
    digest_free(digest);
    g_snprintf(view->etag, sizeof view->etag, "\"%.32s\"", hex);
}

static ShelfView *
view_new(Catalogue *catalogue)
{
    ShelfView *view = g_new0(ShelfView, 1);

    atomic_init(&view->n_users, 1);
    view->catalogue = catalogue;
    view->page = page_new();
    page_render(view->page, catalogue);
    view->index = api_index(catalogue);
    view->history = api_history(catalogue);
    set_etag(view);
    return view;
}

/* With the lock held, which is let go meanwhile. */
static void
make(Shelf *shelf, const Identity *now)
{
    ShelfView *view, *old = shelf->view;

    shelf->is_making = true;
    pthread_mutex_unlock(&shelf->lock);
    view = view_new(catalogue_read(&shelf->site, shelf->known));
    pthread_mutex_lock(&shelf->lock);
    shelf->is_making = false;
    shelf->view = view;
    shelf->identity = *now; /* from before the reading: what came during it is read again */
    shelf->retry_us = view->catalogue->problem != NULL ? g_get_monotonic_time() + RETRY_US : 0;
    shelf_view_unref(old);
    pthread_cond_broadcast(&shelf->made);
}

ShelfView *
shelf_read(Shelf *shelf)
{
    const Identity now = identify(shelf);
    ShelfView *view;

    pthread_mutex_lock(&shelf->lock);
    while (shelf->view == NULL && shelf->is_making)
        pthread_cond_wait(&shelf->made, &shelf->lock);
    if (!is_fresh(shelf, &now) && !shelf->is_making)
        make(shelf, &now);
    view = view_ref(shelf->view);
    pthread_mutex_unlock(&shelf->lock);
    return view;
}

ShelfCount *
shelf_count(Shelf *shelf, const char *path)
{
    ShelfCount *count;

    pthread_mutex_lock(&shelf->lock);
    count = g_hash_table_lookup(shelf->counts, path);
    if (count == NULL && g_hash_table_size(shelf->counts) < SHELF_MAX_BLOBS) {
        count = g_new0(ShelfCount, 1);
        g_hash_table_insert(shelf->counts, g_strdup(path), count);
    }
    pthread_mutex_unlock(&shelf->lock);
    return count != NULL ? count : &shelf->other_count;
}

static void
add_count(const ShelfCount *count, uint64_t *pulls, uint64_t *bytes)
{
    *pulls += atomic_load_explicit(&count->pulls, memory_order_relaxed);
    *bytes += atomic_load_explicit(&count->bytes, memory_order_relaxed);
}

void
shelf_sum_counts(Shelf *shelf, const GPtrArray *paths, uint64_t *out_pulls, uint64_t *out_bytes)
{
    GHashTableIter iter;
    void *value;

    *out_pulls = *out_bytes = 0;
    pthread_mutex_lock(&shelf->lock);
    for (guint i = 0; paths != NULL && i < paths->len; i++) {
        const ShelfCount *count = g_hash_table_lookup(shelf->counts, g_ptr_array_index(paths, i));

        if (count != NULL)
            add_count(count, out_pulls, out_bytes);
    }
    if (paths == NULL) {
        add_count(&shelf->other_count, out_pulls, out_bytes);
        g_hash_table_iter_init(&iter, shelf->counts);
        while (g_hash_table_iter_next(&iter, NULL, &value))
            add_count(value, out_pulls, out_bytes);
    }
    pthread_mutex_unlock(&shelf->lock);
}
