// SPDX-License-Identifier: Apache-2.0
/* The wall around liblzma: what the files disk/xz_*.c share. Private to disk/. */
#pragma once

#include "disk/disk.h"

#include <lzma.h>

/** disk_xz_fail: liblzma's verdict @ret about the file @name as an error. Returns: false always */
bool disk_xz_fail(GError **error, const char *name, lzma_ret ret);

/** DiskXzBlock: one encoded block: header, data, padding, check. */
typedef struct {
    uint8_t *data;
    size_t size;
    lzma_vli unpadded_size; /* what the stream's index wants to know */
} DiskXzBlock;

/** disk_xz_block_bound: what an encoded block of DISK_BLOCK_BYTES can have at most. */
size_t disk_xz_block_bound(void);

/**
 * disk_xz_block_encode: @size bytes, at most DISK_BLOCK_BYTES, into @packed, which has disk_xz_block_bound() bytes:
 * LZMA2, CRC64, both sizes in the header. Data that would grow is stored. Ctrl-C is an error.
 */
bool disk_xz_block_encode(const uint8_t *raw, size_t size, uint8_t *packed, const char *name,
                          DiskXzBlock *out_block, GError **error);

/** disk_xz_block_measure: set @block's unpadded size from its header, which must state @raw_size and fit the block. */
bool disk_xz_block_measure(DiskXzBlock *block, size_t raw_size);

/** DiskPrevious: the blocks of the image before, by their raw digests. */
typedef struct DiskPrevious DiskPrevious;

/** disk_previous_new: (nullable) NULL where there is none or nothing in it can be used. Borrows both. */
DiskPrevious *disk_previous_new(const DiskManifest *manifest, int fd);
void disk_previous_free(DiskPrevious *previous);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskPrevious, disk_previous_free)

/**
 * disk_previous_copy: the encoded block of the raw data with that digest and size into @packed, which has
 * disk_xz_block_bound() bytes, compared with its own digest. Returns: false where there is none or it is damaged
 */
bool disk_previous_copy(const DiskPrevious *previous, const uint8_t *raw_sha256, size_t raw_size,
                        uint8_t *packed, DiskXzBlock *out_block);
