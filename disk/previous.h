// SPDX-License-Identifier: Apache-2.0
/* Blocks of the image before, by their raw digests. Private to disk/. */
#pragma once

#include "disk/disk.h"

typedef struct DiskPrevious DiskPrevious;

/** disk_previous_new: (nullable) NULL where there is none or nothing in it can be used for @codec. Borrows both. */
DiskPrevious *disk_previous_new(const DiskManifest *manifest, int fd, DiskCodec codec);
void disk_previous_free(DiskPrevious *previous);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskPrevious, disk_previous_free)

/**
 * disk_previous_copy: the packed block of the raw data with that digest and size into @packed, which has @bound bytes,
 * compared with its own digest. Returns: its size; 0 where there is none or it is damaged
 */
size_t disk_previous_copy(const DiskPrevious *previous, const uint8_t *raw_sha256, size_t raw_size,
                          uint8_t *packed, size_t bound);
