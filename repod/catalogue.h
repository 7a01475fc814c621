// SPDX-License-Identifier: Apache-2.0
/* What a repository offers, as its page and its API say it: the verified index, and which revisions the versions had that are
 * kept; private to repod/. Only catalogue_read() does I/O. */
#pragma once

#include "index/index.h"
#include "repod/config.h"

/* Larger indexes are served, but have no page: the model and the page take some ten times that. */
#define CATALOGUE_MAX_BYTES (8u << 20)
#define CATALOGUE_MAX_VERSIONS                                                                               \
    50u /* looked at for the history; each was signed, which costs a run of gpg once */

/** CatalogueRevision: one content of an image. */
typedef struct {
    uint64_t version; /* of the first index with it, among those kept */
    int64_t created;  /* of that index; 0: it does not say */
    uint64_t revision;
    char *sha512; /* NULL: not stated */
    char *file;
    uint64_t size, compressed_size;
} CatalogueRevision;

/** CatalogueVersion: one index that is kept. */
typedef struct {
    uint64_t version;
    int64_t created;
    unsigned n_images;
} CatalogueVersion;

typedef struct {
    char *site;     /* the repository's name */
    char *problem;  /* one sentence for everybody: why there is no index to show; then nothing below is set */
    char *detail;   /* the same for whoever runs the server: it may name folders */
    bool is_empty;  /* with a problem: nothing was ever published here */
    bool is_broken; /* with a problem: there is an index whose key is known, and no time made it bad */
    Index *index;
    char *fingerprint; /* of the primary key that signed it */
    char **roots;      /* root keys that are pinned and let that key sign; NULL: it is pinned itself */
    int64_t signed_at,
        expires_at;      /* @expires_at: of the signature, the key and the index, the first; 0: never */
    GHashTable *history; /* catalogue_key() -> GPtrArray of CatalogueRevision, oldest first */
    GPtrArray *versions; /* (element-type CatalogueVersion) oldest first */
    unsigned
        n_unread; /* versions that are kept and not shown: too many, or not verifiable with the present key */
} Catalogue;

Catalogue *catalogue_new(const char *site);
void catalogue_free(Catalogue *catalogue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Catalogue, catalogue_free)

/** catalogue_add_version: a verified index, the oldest first and the present one last. */
void catalogue_add_version(Catalogue *catalogue, const Index *index);

/** catalogue_history: (nullable) (element-type CatalogueRevision) of one image, oldest first. */
const GPtrArray *catalogue_history(const Catalogue *catalogue, const IndexEntry *entry);

/** catalogue_os: the family that an image's system belongs to, as in "debian": (transfer full) "" where nothing says. */
char *catalogue_os(const IndexEntry *entry);

/**
 * catalogue_read: what is published in @site's folder now, verified. It may take seconds.
 * @known: (element-type utf8 utf8) (nullable) digests of what was verified before, which is not verified again; those
 * of this reading take their place
 * Returns: (transfer full) never NULL: what went wrong is said in it
 */
Catalogue *catalogue_read(const ConfigSite *site, GHashTable *known);
