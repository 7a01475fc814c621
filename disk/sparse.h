// SPDX-License-Identifier: Apache-2.0
/* Holes: finding them, and not writing over them. Private to disk/. */
#pragma once

#include "disk/disk.h"

#include <stdatomic.h>
#include <stddef.h>

/** disk_sparse_is_zero: whether all @size bytes are zero. */
bool disk_sparse_is_zero(const uint8_t *data, size_t size);

/**
 * disk_sparse_next_data: the first data extent at or after @from and before @end. Where the kernel knows of no
 * holes, as for a block device, everything is data. Returns: false where only a hole is left
 */
bool disk_sparse_next_data(int fd, uint64_t from, uint64_t end, uint64_t *out_start, uint64_t *out_end);

/**
 * disk_sparse_read: @size bytes at @offset, holes filled in without reading them; the range must lie in the file.
 * @out_is_zero: whether all of it is zero
 */
bool disk_sparse_read(int fd, uint8_t *data, size_t size, uint64_t offset, const char *name,
                      bool *out_is_zero, GError **error);

/** disk_sparse_write: write those of the file's DISK_GRAIN pieces that are not all zero in @data, at @offset. */
bool disk_sparse_write(int fd, const uint8_t *data, size_t size, uint64_t offset, const char *name,
                       GError **error);

/** disk_sparse_write_mapped: the same, and set the bit of each piece that is written in @map, which other threads may set, too. */
bool disk_sparse_write_mapped(int fd, const uint8_t *data, size_t size, uint64_t offset, atomic_uchar *map,
                              const char *name, GError **error);
