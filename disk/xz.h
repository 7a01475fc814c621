// SPDX-License-Identifier: Apache-2.0
/* The wall around liblzma: what the files disk/xz_*.c share. Private to disk/. */
#pragma once

#include "disk/disk.h"

#include <lzma.h>

/** disk_xz_fail: liblzma's verdict @ret about the file @name as an error. Returns: false always */
bool disk_xz_fail(GError **error, const char *name, lzma_ret ret);

/** DiskXzFile, disk_xz_input_file, disk_xz_read_file: a file that is all there as input, for which @file must stay. */
typedef struct {
    int fd;
    const char *name;
} DiskXzFile;
bool disk_xz_input_file(DiskXzInput *input, const DiskXzFile *file, GError **error);
bool disk_xz_read_file(void *context, void *data, size_t size, uint64_t offset, GError **error);

/** disk_xz_read_index: (transfer full) of the whole file: every stream and padding, read from the end backwards. */
lzma_index *disk_xz_read_index(const DiskXzInput *input, const char *name, GError **error);

#define DISK_XZ_OWN_CHECK LZMA_CHECK_CRC64 /* of the blocks that are encoded here */

/** disk_xz_block_bound: what an encoded block of DISK_BLOCK_BYTES can have at most. */
size_t disk_xz_block_bound(void);

/**
 * disk_xz_block_encode: @size bytes, at most DISK_BLOCK_BYTES, into @packed, which has disk_xz_block_bound() bytes:
 * LZMA2, CRC64, both sizes in the header. Data that would grow is stored. Ctrl-C is an error.
 * Returns: the size of the block: header, data, padding, check; or 0 with @error set
 */
size_t disk_xz_block_encode(const uint8_t *raw, size_t size, uint8_t *packed, const char *name,
                            GError **error);

/**
 * disk_xz_block_measure: what the stream's index wants to know of an encoded block: its size without padding, by its header.
 * Returns: 0 where that does not state @raw_size, or does not fit @packed_size
 */
lzma_vli disk_xz_block_measure(const uint8_t *packed, size_t packed_size, size_t raw_size);

/** DiskXzReader: unpacks exactly one block, step by step, in at most DISK_XZ_MAX_MEMORY. */
typedef struct DiskXzReader DiskXzReader;

/**
 * disk_xz_reader_new: of @packed, which is borrowed; @check is the stream's.
 * Errors: the header does not fit the sizes; more memory than the limit allows; a check that is not supported here
 */
DiskXzReader *disk_xz_reader_new(const uint8_t *packed, size_t packed_size, size_t raw_size, uint8_t check,
                                 const char *name, GError **error);
void disk_xz_reader_free(DiskXzReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskXzReader, disk_xz_reader_free)

/**
 * disk_xz_read: the next bytes, @size of them but at the end. @out_is_end: that was all, and nothing follows the block.
 */
bool disk_xz_read(DiskXzReader *reader, uint8_t *out, size_t size, const char *name, size_t *out_size,
                  bool *out_is_end, GError **error);
