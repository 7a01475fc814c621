// SPDX-License-Identifier: Apache-2.0
/* Holes: finding them, and not writing over them. Private to disk/. */
#pragma once

#include "disk/disk.h"

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

/** disk_sparse_write: write the DISK_GRAIN pieces of @data that are not all zero, at @offset. */
bool disk_sparse_write(int fd, const uint8_t *data, size_t size, uint64_t offset, const char *name,
                       GError **error);
