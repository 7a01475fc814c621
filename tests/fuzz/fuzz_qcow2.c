// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* Image headers: any bytes, the file claimed to be larger than what was read. */
#include "disk/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(DiskInfo) info = {0};
    g_autoptr(GError) error = NULL;

    if (size > DISK_HEADER_BYTES)
        return 0;
    if (disk_header_parse(data, size, size * 2, "fuzz", &info, &error))
        g_assert(error == NULL && info.virtual_size <= G_MAXINT64);
    else
        g_assert(error != NULL && info.backing_file == NULL);
    return 0;
}
