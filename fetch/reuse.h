// SPDX-License-Identifier: Apache-2.0
/* Taking from this host what need not come over the network. */
#pragma once

#include "fetch/job.h"

/** ReuseWay: deltas that make an image of one that is here. */
typedef struct {
    GArray *
        deltas; /* (element-type IndexDelta) in the order in which they are applied; borrows from the entry */
    uint64_t size; /* bytes of all */
    char *base;    /* path of the image that is here */
} ReuseWay;
void reuse_way_clear(ReuseWay *way);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ReuseWay, reuse_way_clear)

/** reuse_find_way: with the fewest bytes; false where there is none. */
bool reuse_find_way(const IndexEntry *entry, ReuseWay *out_way);

/**
 * reuse_fill: put into the file @fd at @path, if it is empty, what other images of this host have of the one in
 * @manifest: by deltas or by equal blocks, whichever leaves fewer bytes to fetch. What cannot be used is a warning of the
 * job; what is wrong in the result is for blocks_fetch() to find. Errors: Ctrl-C; the file cannot be written at all
 */
bool reuse_fill(const Job *job, const DiskManifest *manifest, int fd, const char *path, GError **error);
