// SPDX-License-Identifier: Apache-2.0
/* What a file or a device has of an image already. */
#pragma once

#include "disk/disk.h"

/**
 * stock_take: compare each block of @manifest with @target, which is given the image's size, on all cores. Where blocks are missing
 * what half of one may have left is erased, so that holes are holes; where that cannot be done all of @target is begun anew.
 * @name: the image, for the progress
 * @out_is_there: for each block of @manifest
 * Errors: the target's; interrupted
 */
bool stock_take(const DiskManifest *manifest, const DiskTarget *target, const char *name, bool *out_is_there,
                GError **error);
