// SPDX-License-Identifier: Apache-2.0
/* The comments above the first section that say which repository and which version this is. Private to
 * index/. */
#pragma once

#include "index/index.h"

/**
 * index_header_read: one comment, without its '#', into @index. Comments of other kinds are ignored.
 * @seen: a bit for each kind read so far, 0 at first
 * Returns: (nullable) what is wrong with it
 */
const char *index_header_read(const char *comment, Index *index, unsigned *seen);

/** index_number_parse: decimal digits alone, at most 2^63-1. */
bool index_number_parse(const char *text, uint64_t *out_number);
