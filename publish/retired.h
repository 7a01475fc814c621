// SPDX-License-Identifier: Apache-2.0
/*
 * The revisions that removed images had, in the publisher's private notes: an image that comes back goes on from
 * there, as caches of stock clients know an image by name, architecture and revision alone.
 */
#pragma once

#include "index/index.h"
#include "store/store.h"

/** publish_retired_add: remember @entries (element-type IndexEntry). The store's lock must be held. */
bool publish_retired_add(Store *store, const GPtrArray *entries, GError **error);

/** publish_retired_lookup: the highest revision of removed images with that name and architecture; 0: none. */
bool publish_retired_lookup(Store *store, const char *name, const char *arch, uint64_t *out_revision,
                            GError **error);
