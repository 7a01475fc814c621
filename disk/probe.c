// SPDX-License-Identifier: Apache-2.0
/* Reads the first bytes of an image for header.c to judge. */
#include "base/fd.h"
#include "disk/header.h"

#include <string.h>

static const char DESCRIPTION[] = "# Disk DescriptorFile";

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

bool
disk_probe_foreign(int fd, const char *name, DiskForeign *out_foreign, GError **error)
{
    g_autofree uint8_t *data = g_malloc(DISK_HEADER_BYTES);
    ssize_t size = fd_pread(fd, data, DISK_HEADER_BYTES, 0, name, error);
    DiskForeign foreign;

    if (size < 0)
        return false;
    if ((size_t)size >= sizeof DESCRIPTION - 1 && memcmp(data, DESCRIPTION, sizeof DESCRIPTION - 1) == 0)
        return error_set(
            error, "%s: the VMDK only describes other files; convert it first (qemu-img convert)", name);
    foreign = disk_foreign_detect(data, (size_t)size);
    if (foreign == DISK_FOREIGN_VMDK && !disk_vmdk_check(data, (size_t)size, name, error))
        return false;
    *out_foreign = foreign;
    return true;
}
