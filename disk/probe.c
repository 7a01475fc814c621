// SPDX-License-Identifier: Apache-2.0
/* Reads the first bytes of an image for header.c to judge. */
#include "base/fd.h"
#include "disk/header.h"

bool
disk_probe(int fd, const char *name, DiskInfo *out_info, GError **error)
{
    g_autofree uint8_t *data = g_malloc(DISK_HEADER_BYTES);
    uint64_t file_size;
    ssize_t size;

    if (!fd_size(fd, name, &file_size, error))
        return false;
    size = fd_pread(fd, data, DISK_HEADER_BYTES, 0, name, error);
    return size >= 0 && disk_header_parse(data, (size_t)size, file_size, name, out_info, error);
}
