// SPDX-License-Identifier: Apache-2.0
/* Reading and writing at places of the raw image, wherever they lie in the target. Private to disk/. */
#pragma once

#include "disk/disk.h"

#include <stddef.h>

/** disk_target_write: @data at @at of the raw image; a place for it there must be. */
bool disk_target_write(const DiskTarget *target, const uint8_t *data, size_t size, uint64_t at,
                       GError **error);

/** disk_target_read: @size bytes at @at of the raw image; holes are not read. */
bool disk_target_read(const DiskTarget *target, uint8_t *data, size_t size, uint64_t at, GError **error);

/** disk_target_is_hole: whether from @at to @end nothing was ever written. Of a device that is never known. */
bool disk_target_is_hole(const DiskTarget *target, uint64_t at, uint64_t end);

/** disk_target_zero: make zeroes of it, in a file a hole. Errors: a file system without holes */
bool disk_target_zero(const DiskTarget *target, uint64_t at, uint64_t end, GError **error);
