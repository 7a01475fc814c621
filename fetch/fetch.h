// SPDX-License-Identifier: Apache-2.0
/*
 * Images onto this host: sources with their pins, the verified catalogue, the pull pipeline and the cache of
 * verified images. Order of trust: bytes -> sign_verify_*() -> index_parse() -> digest -> decoder.
 */
#pragma once

#include "base/cli.h"
#include "base/error.h"
#include "disk/disk.h"
#include "index/index.h"

/** FetchImage: a verified image in the cache: read-only (0444), complete, ready to be a backing file. */
typedef struct {
    char *path; /* absolute */
    char *id;   /* of its content, in the cache */
    DiskFormat format;
    uint64_t virtual_size; /* bytes */
    char *source;          /* the source's name */
    IndexEntry *entry;     /* what the signed index says of it */
} FetchImage;
void fetch_image_free(FetchImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FetchImage, fetch_image_free)

/**
 * fetch_image: the image @ref from the cache, pulled first where it is not there.
 * @ref: "NAME" or "SOURCE/NAME"
 * @arch: (nullable) NULL: this host's
 * @out_warnings: (element-type utf8) (transfer full) (nullable): sources that could not be reached, an expired index
 * An image that this host verified before is used, with a warning, where its source cannot be reached, is refused or
 * has expired; not where the source answers and no longer offers it.
 * Errors: BASE_ERROR_USAGE, _NOT_FOUND, _UNTRUSTED, _UNAVAILABLE, _INTERRUPTED
 */
FetchImage *fetch_image(const char *ref, const char *arch, GPtrArray **out_warnings, GError **error);

/**
 * fetch_note_use: before the disk @path, which has @image as its base, is put into place; while the caller holds a shared
 * flock() on the image. From then on `cache prune` leaves the image alone for as long as @path is such a disk.
 */
bool fetch_note_use(const FetchImage *image, const char *path, GError **error);

extern const Verb FETCH_VERB_SOURCE_ADD;
extern const Verb FETCH_VERB_SOURCE_LIST;
extern const Verb FETCH_VERB_SOURCE_REMOVE;
extern const Verb FETCH_VERB_LIST;
extern const Verb FETCH_VERB_INFO;
extern const Verb FETCH_VERB_PULL;
extern const Verb FETCH_VERB_OUTDATED;
extern const Verb FETCH_VERB_UPGRADE;
extern const Verb FETCH_VERB_CACHE_LIST;
extern const Verb FETCH_VERB_CACHE_PRUNE;
extern const Verb FETCH_VERB_INDEX_VALIDATE;
