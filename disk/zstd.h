// SPDX-License-Identifier: Apache-2.0
/* The wall around libzstd: whole pieces, whose sizes are known. Private to disk/. */
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
 * disk_zstd_unpack: exactly one frame, of exactly @raw_size bytes; memory is bounded by @raw_size, whatever the frame
 * says. @name for messages.
 */
bool disk_zstd_unpack(const uint8_t *packed, size_t packed_size, uint8_t *raw, size_t raw_size,
                      const char *name, GError **error);
