// SPDX-License-Identifier: Apache-2.0
/*
 * What this host has pulled and verified, in its own words, below path_state()/pulled: an image stays usable after
 * the index that vouched for it expired or its server went away.
 */
#pragma once

#include "fetch/cache.h"

/** record_write: @entry of @source was verified and is in the cache. */
bool record_write(const CacheKey *key, const char *source, const IndexEntry *entry, GError **error);

/**
 * record_find: (transfer full) (nullable) the recorded entry with the highest revision whose image is still in the
 * cache.
 * @source: (nullable) any
 */
IndexEntry *record_find(const char *source, const char *name, const char *arch, char **out_source);
