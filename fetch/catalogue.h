// SPDX-License-Identifier: Apache-2.0
/* What the sources offer: a verified index for each, or the reason why there is none, and finding an image in them. */
#pragma once

#include "fetch/door.h"
#include "fetch/source.h"

typedef enum {
    CATALOGUE_ASK,     /* the server, whatever is known */
    CATALOGUE_RECENT,  /* the server, unless it was asked within the source's max_age */
    CATALOGUE_OFFLINE, /* nobody */
} CatalogueMode;

typedef struct {
    Source *source;
    const char
        *uri; /* the source's own or one of its mirrors: where the index came from. Borrowed from @source */
    DoorIndex opened; /* .index is NULL where @failure is set */
    Texts texts;      /* that it comes from; empty where no server was asked with success */
    bool is_offline;  /* nobody is asked for anything */
    GError *failure;  /* why there is no index at all */
    GError *refusal; /* why nothing new may be pulled by this index: expired, or older than one seen before */
} Catalogue;
void catalogue_free(Catalogue *catalogue);

/**
 * catalogue_open: one source's index: from its server or the first of its mirrors that has a good one, else the last
 * good one from the cache. Never NULL.
 * @source: (transfer full)
 * @warnings: (element-type utf8): what is not as it should be
 */
Catalogue *catalogue_open(Source *source, CatalogueMode mode, GPtrArray *warnings);

/**
 * catalogue_open_all: (element-type Catalogue) of every enabled source, or of @only alone. A source's trouble is in its
 * own catalogue and in @warnings, and hides no other source.
 * @only: (nullable)
 * Errors: BASE_ERROR_USAGE, _NOT_FOUND for @only; _FAILED where that is not enabled; _INTERRUPTED
 */
GPtrArray *catalogue_open_all(const char *only, CatalogueMode mode, GPtrArray *warnings, GError **error);

/** catalogue_split_ref: "NAME" or "SOURCE/NAME". @out_source NULL for the first. BASE_ERROR_USAGE for any other. */
bool catalogue_split_ref(const char *ref, char **out_source, char **out_name, GError **error);

/**
 * catalogue_find: the entry that @ref means: a name before any alias, then the source's highest priority, then the highest
 * revision; a catalogue under which nothing may be pulled counts only where no other has the image. Borrowed from @catalogues.
 * @arch: as index_normal_arch() gives it
 * Errors: BASE_ERROR_NOT_FOUND; a catalogue's failure where it may be what hides the image
 */
const IndexEntry *catalogue_find(GPtrArray *catalogues, const char *ref, const char *arch,
                                 const Catalogue **out_catalogue, GError **error);

/** catalogue_host_arch: (transfer full) the architecture of this host in the index's spelling. */
char *catalogue_host_arch(void);
