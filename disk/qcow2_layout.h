// SPDX-License-Identifier: Apache-2.0
/* Where a raw image lies in a qcow2 file that is laid out before the first byte comes. Private to disk/. */
#pragma once

#include "disk/disk.h"

#include <stddef.h>

/**
 * DiskPut: @size bytes that belong at @offset of the file. The tables are given by rising offset, without a gap.
 */
typedef bool (*DiskPut)(void *context, const void *data, size_t size, uint64_t offset, GError **error);

/** disk_layout_new: of an image of @size bytes, without data yet. Errors: no image that qcow2 can have */
DiskLayout *disk_layout_new(uint64_t size, const char *name, GError **error);

/** disk_layout_add: there is data from @start to @end; by rising position. */
void disk_layout_add(DiskLayout *layout, uint64_t start, uint64_t end);

/** disk_layout_close: nothing more is added; now everything has its place. */
void disk_layout_close(DiskLayout *layout);

/**
 * disk_layout_next: the first bytes of the image at or after @from and before @end that have a place in the file, and it.
 * Returns: false where there are none left, so that all the rest is zero
 */
bool disk_layout_next(const DiskLayout *layout, uint64_t from, uint64_t end, uint64_t *out_start,
                      uint64_t *out_end, uint64_t *out_file_at);

/** disk_layout_header: the file's first cluster, DISK_LAYOUT_CLUSTER bytes (transfer full): without it, it is no image. */
uint8_t *disk_layout_header(const DiskLayout *layout);

/** disk_layout_put_tables: everything between the header and the data. */
bool disk_layout_put_tables(const DiskLayout *layout, DiskPut put, void *context, GError **error);
