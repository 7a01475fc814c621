// SPDX-License-Identifier: Apache-2.0
/* Whether a part of a file is in memory, and how to get it there; private to repod/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** cold_is_cached: whether @size bytes at @offset of @file can probably be read without waiting for a disk. Never blocks. */
bool cold_is_cached(int file, uint64_t offset, size_t size);

/** cold_copy: @size bytes at @offset of @file into @out, if they can probably be had without waiting for a disk; else nothing
 * is known of @out. */
bool cold_copy(int file, uint64_t offset, size_t size, char *out);

/** cold_read: wait until they can be, and have the kernel begin with what follows them. Blocks. */
void cold_read(int file, uint64_t offset, size_t size);
