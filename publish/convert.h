// SPDX-License-Identifier: Apache-2.0
/* Other programs' image formats into raw ones, by qemu-img. */
#pragma once

#include "disk/disk.h"

/**
 * publish_convert: the image @in_fd, which disk_probe_foreign() found to be @foreign, into the empty file @out_fd as a
 * sparse raw image. qemu-img is told the format, gets the two open files and no name, opens no backing file, and runs under
 * limits; Ctrl-C ends it, and so does our own end.
 * @name: for messages
 */
bool publish_convert(int in_fd, const char *name, DiskForeign foreign, int out_fd, GError **error);
