// SPDX-License-Identifier: Apache-2.0
/* The wall around libzstd: pieces whose sizes are known. Private to disk/. */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/** disk_zstd_bound: the most that @size packed bytes take. */
size_t disk_zstd_bound(size_t size);

/**
 * disk_zstd_pack: one frame of @raw into @packed, which has disk_zstd_bound() bytes.
 * Returns: its size, or 0 with @error set
 */
size_t disk_zstd_pack(const uint8_t *raw, size_t size, int level, uint8_t *packed, GError **error);

/**
 * disk_zstd_pack_block: one frame of a block of an image, as small as it gets, into @packed, which has
 * disk_zstd_bound() bytes. Takes some 100 MiB of memory. Ctrl-C is an error.
 * Returns: its size, or 0 with @error set
 */
size_t disk_zstd_pack_block(const uint8_t *raw, size_t size, uint8_t *packed, GError **error);

/** disk_zstd_states: whether @packed starts with the header of a frame of @raw_size bytes, as disk_zstd_pack_block() has it. */
bool disk_zstd_states(const uint8_t *packed, size_t packed_size, size_t raw_size);

/** disk_zstd_is_frame: whether @packed starts as a frame does. */
bool disk_zstd_is_frame(const uint8_t *packed, size_t size);

/**
 * disk_zstd_unpack: exactly one frame, of exactly @raw_size bytes; memory is bounded by @raw_size, whatever the frame
 * says. @name for messages.
 */
bool disk_zstd_unpack(const uint8_t *packed, size_t packed_size, uint8_t *raw, size_t raw_size,
                      const char *name, GError **error);
