// SPDX-License-Identifier: Apache-2.0
/* What an index needs besides itself: its files, each once, with what is known of it before it is fetched. Pure. */
#pragma once

#include "base/digest.h"
#include "index/index.h"

#define MIRROR_MAX_SIGNATURE (64u << 10) /* of an image: one signature is below 1 KB */
#define MIRROR_MAX_EXTRA (1u << 30)      /* a manifest or list of packages whose size nobody states */
#define MIRROR_MAX_UNSTATED                                                                                  \
    (1ull << 40) /* an image that states no size at all: its digest is known all the same */

/** MirrorFile: one content. */
typedef struct {
    char *key;   /* what it is told apart by: its SHA-512, or "sha256:HEX", or "sig:FILE:KEY" of its image */
    char *file;  /* as the index calls it */
    char *image; /* the entry that needs it, for messages */
    GPtrArray
        *names; /* (element-type utf8) normal ones that it is to be shown under; empty: by its digest alone */
    DigestKind kind;
    char *digest;      /* lower-case hex; NULL: of a detached signature, which the index says nothing of */
    uint64_t size;     /* exactly; 0: not stated */
    uint64_t max_size; /* where it is not */

    /* What is found out on the way. */
    char *sha512;    /* once it is here */
    bool is_damaged; /* what is here by that digest is something else */
    uint64_t got;    /* bytes, once it is here */
    GError *error;   /* why it is not */
} MirrorFile;
void mirror_file_free(MirrorFile *file);

/**
 * mirror_name: (transfer full) (nullable) the name in a folder of what the index calls @file: decoded as a URL, without "."
 * in the path. NULL for what leaves the folder or hides something of the repository's own.
 */
char *mirror_name(const char *file);

/** mirror_image_key: (transfer full) (nullable) MirrorFile.key of the entry's image; NULL without a digest that vouches for it. */
char *mirror_image_key(const IndexEntry *entry);

/**
 * mirror_wants: add what @entry needs to @files (element-type MirrorFile): its file, its detached signature, and every
 * extension field that names a blob.
 * @by_key: key -> MirrorFile, @by_name: name -> MirrorFile; both borrow from @files
 * @with_names: whether files keep their names, so that those must be possible; else only contents matter, and no signature
 * Errors: BASE_ERROR_UNTRUSTED: no digest, a name that cannot be, one name for two contents
 */
bool mirror_wants(const IndexEntry *entry, bool with_names, GPtrArray *files, GHashTable *by_key,
                  GHashTable *by_name, GError **error);
