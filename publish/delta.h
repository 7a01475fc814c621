// SPDX-License-Identifier: Apache-2.0
/* Deltas from the revisions before: which, whether they are worth it, and where they are kept until they are published. */
#pragma once

#include "disk/disk.h"
#include "publish/entry.h"
#include "store/store.h"

#define PUBLISH_DELTAS 3u /* revisions back, where nothing else is said */
#define PUBLISH_MAX_DELTAS 16u
#define PUBLISH_MAX_STEPS                                                                                    \
    8u /* deltas that are kept of earlier revisions, for hosts that were away for longer */

/** PublishBase: an earlier revision. */
typedef struct {
    uint64_t revision;
    char *sha512; /* of its file: lower-case hex */
} PublishBase;
void publish_base_free(PublishBase *base);

/**
 * publish_delta_bases: (transfer full) (element-type PublishBase) the revision that @old is and those that it has deltas
 * from, newest first, at most @max. Pure.
 * @old: (nullable)
 */
GPtrArray *publish_delta_bases(const IndexEntry *old, unsigned max);

/**
 * publish_delta_steps: (transfer full) (element-type IndexDelta) the deltas of @old that lead, one or several together, to a base
 * of the @n new @deltas, from revisions that have none of these: nothing is made for them, they only stay. Newest first, at
 * most PUBLISH_MAX_STEPS. Borrows from @old. Pure.
 * @old: (nullable)
 */
GArray *publish_delta_steps(const IndexEntry *old, const IndexDelta *deltas, unsigned n);

/** PublishDelta: a delta from @base. */
typedef struct {
    uint64_t revision; /* of the base */
    char *base_sha512;
    uint64_t size; /* bytes */
    char *sha512;
    StoreUpload upload;
    char *path; /* NULL until it is in its place */
} PublishDelta;
void publish_delta_free(PublishDelta *delta);

/** PublishDeltaJob: an image that was compressed. Borrowed. */
typedef struct {
    Store *store;
    const char *name; /* of the image */
    int fd;           /* the image itself */
    const char *path;
    const char *sha512; /* of its file */
    uint64_t compressed_size;
    const GPtrArray *bases; /* (element-type PublishBase) */
    unsigned threads;
} PublishDeltaJob;

/**
 * publish_delta_make: a delta from each base that is worth it: less than PUBLISH_DELTA_WORTH percent of the whole.
 * @deltas: (element-type PublishDelta) are added
 * @notes: (element-type utf8) are added: why there is none from a base. It fails only after Ctrl-C or with a full disk
 * @out_grains: (transfer full) what publish_delta_keep() keeps for the next revision; NULL where the image is too large
 */
bool publish_delta_make(const PublishDeltaJob *job, GPtrArray *deltas, GPtrArray *notes, GBytes **out_grains,
                        GError **error);

/** publish_delta_store: make @delta a blob. */
bool publish_delta_store(Store *store, PublishDelta *delta, GError **error);

/** publish_delta_keep: note @grains of the image with that digest for the next revision. The lock must be held. */
bool publish_delta_keep(Store *store, const char *sha512, GBytes *grains, GError **error);

/** publish_delta_forget: drop what is kept of images that @index has neither as themselves nor as the base of a delta.
 * The lock must be held. */
bool publish_delta_forget(Store *store, const Index *index, GError **error);
