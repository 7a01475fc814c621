// SPDX-License-Identifier: Apache-2.0
/*
 * What outlives a reload of one repository: its catalogue as it was read last, and how often its blobs were sent; private to
 * repod/. Any thread may call.
 */
#pragma once

#include "repod/catalogue.h"
#include "repod/page.h"

/* Blobs that are counted one by one; any more share a counter. Old ones stay: 1 MiB in all. */
#define SHELF_MAX_BLOBS 4096u

/** ShelfView: one reading with what was made of it; it never changes. */
typedef struct {
    atomic_uint n_users;
    Catalogue *catalogue;
    Page *page;
    GBytes *index, *history; /* of the API */
    char etag[36];           /* of all of them, with quotes */
} ShelfView;
void shelf_view_unref(ShelfView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfView, shelf_view_unref)

/** ShelfCount: how often one blob was sent. */
typedef struct {
    atomic_uint_fast64_t pulls; /* answers that began at its first byte */
    atomic_uint_fast64_t bytes;
} ShelfCount;

typedef struct Shelf Shelf;

Shelf *shelf_new(const ConfigSite *site);
Shelf *shelf_ref(Shelf *shelf);
void shelf_unref(Shelf *shelf);

/** shelf_fits: whether what it holds goes for @site too. */
bool shelf_fits(const Shelf *shelf, const ConfigSite *site);

/** shelf_peek: (transfer full) (nullable) the view of what is published now, if there is one already. One lstat(). */
ShelfView *shelf_peek(Shelf *shelf);

/** shelf_read: (transfer full) the same, made if need be, which can take seconds. Where another thread is making it, the one
 * before is returned if there was one. */
ShelfView *shelf_read(Shelf *shelf);

/** shelf_count: the counter of the blob @path, as long as the shelf lasts. */
ShelfCount *shelf_count(Shelf *shelf, const char *path);

/** shelf_sum_counts: of each path in @paths (element-type utf8); without @paths of all blobs. */
void shelf_sum_counts(Shelf *shelf, const GPtrArray *paths, uint64_t *out_pulls, uint64_t *out_bytes);
