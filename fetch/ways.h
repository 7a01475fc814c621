// SPDX-License-Identifier: Apache-2.0
/* The cheapest chain of deltas from an image of this host to another. Pure. */
#pragma once

#include "index/index.h"

/** WaysIsHere: whether this host has the image whose file has that SHA-512. */
typedef bool (*WaysIsHere)(void *context, const char *sha512);

/**
 * ways_find: (transfer full) (nullable) (element-type IndexDelta) the deltas that @entry names, in the order in which they are
 * applied, with the fewest bytes together; of equal ways the one with fewer deltas. NULL: no chain starts with what is here.
 * Borrows from @entry. @out_size: bytes of all of them
 */
GArray *ways_find(const IndexEntry *entry, WaysIsHere is_here, void *context, uint64_t *out_size);
