// SPDX-License-Identifier: Apache-2.0
/*
 * What this host has pulled and verified, in its own words, below path_state()/pulled: an image stays usable after
 * the index that vouched for it expired or its server went away.
 */
#pragma once

#include "fetch/cache.h"

/** RecordOwner: whose image it is: a repository wherever it is served, or a source whose index has no id. Borrowed. */
typedef struct {
    const char *source;
    const char *repo_id; /* (nullable) */
} RecordOwner;

/** record_write: @entry of @owner was verified and is in the cache. */
bool record_write(const CacheKey *key, const RecordOwner *owner, const IndexEntry *entry, GError **error);

/** record_size: the virtual size of the image of @entry, if it was pulled from @source; 0 else. */
uint64_t record_size(const char *source, const IndexEntry *entry);

/** record_revision: the highest recorded revision of @entry's name and architecture of @owner; 0 for none. */
uint64_t record_revision(const RecordOwner *owner, const IndexEntry *entry);

/** record_forget_above: the user wants this one: forget the records of @owner's higher revisions of it. */
bool record_forget_above(const RecordOwner *owner, const IndexEntry *entry, GError **error);

/**
 * record_find: (transfer full) (nullable) the recorded entry with the highest revision whose image is still in the
 * cache.
 * @source: (nullable) any
 */
IndexEntry *record_find(const char *source, const char *name, const char *arch, char **out_source);

/** Recorded: an image that was pulled and is in the cache. */
typedef struct {
    IndexEntry *entry;
    char *source;
} Recorded;
void recorded_free(Recorded *recorded);

/** record_list: (element-type Recorded) (transfer full) of each source, name and architecture the highest revision that is
 * in the cache, by source, name, architecture. */
GPtrArray *record_list(void);

/** record_all: (element-type Recorded) (transfer full) everything that was ever pulled, by source, name and architecture, the
 * highest revision of each first; whether or not it is still in the cache. */
GPtrArray *record_all(void);
