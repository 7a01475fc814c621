// SPDX-License-Identifier: Apache-2.0
/*
 * The cache below path_cache(): images/ID.raw and .qcow2 (verified, 0444) with images/ID.manifest or, where the publisher makes
 * none, images/ID.local-manifest; what can go on:
 * partial/ID.part (a download) and partial/ID.blocks (an image that lacks some blocks), with partial/ID.lock;
 * index/SOURCE/ (last good signed texts). An ID is a digest in hex that was checked to be
 * one; nothing else that a source says becomes part of a path.
 */
#pragma once

#include "base/digest.h"
#include "disk/disk.h"
#include "index/index.h"

typedef struct {
    DigestKind kind;
    char *digest; /* lower-case hex over the published file */
    char *
        id; /* the file name without suffix: the digest, and the manifest's first digits where the entry has one */
} CacheKey;
void cache_key_clear(CacheKey *key);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CacheKey, cache_key_clear)

/** cache_key_init: from the entry's SHA-512, else its SHA-256. BASE_ERROR_UNTRUSTED where it has neither. */
bool cache_key_init(CacheKey *key, const IndexEntry *entry, GError **error);

/** cache_blob_digest: (nullable) the SHA-512, in hex, in a reference to a blob: "blobs/sha512/ab/HEX". */
const char *cache_blob_digest(const char *blob);

/** cache_prepare: make the folders; images/ so that qemu under another user can open files in it. */
bool cache_prepare(GError **error);

/**
 * cache_find: (transfer full) (nullable) the path of the complete image: in our own cache, else in the shared one of this
 * host, where its file and folder are root's or ours and nobody else may write.
 */
char *cache_find(const CacheKey *key, DiskFormat *out_format);

/** cache_find_content: (transfer full) (nullable) a complete image of the published file with that SHA-512, whoever vouches for it:
 * for uses whose result is verified. */
char *cache_find_content(const char *sha512);

/* Each returns (transfer full) a path. */
char *cache_image_path(const CacheKey *key, DiskFormat format);
char *cache_temp_path(const CacheKey *key); /* in images/, so that a rename publishes it */
char *cache_partial_path(const CacheKey *key);
char *cache_blocks_path(const CacheKey *key);
char *cache_delta_path(const CacheKey *key);
char *cache_manifest_path(const CacheKey *key);       /* readable, and compared with its digest at each use */
char *cache_local_manifest_path(const CacheKey *key); /* one that nobody signed: local_manifest.h */
char *cache_lock_path(const CacheKey *key);
/** cache_is_own: whether the image @path is in our own cache, so that we may heal and remove it. */
bool cache_is_own(const char *path);

char *cache_images_folder(void);
char *cache_index_folder(const char *source); /* @source: checked with source_is_name() */

/** cache_sweep: remove the temporary images of pulls that died: those whose lock is free. */
bool cache_sweep(GError **error);
