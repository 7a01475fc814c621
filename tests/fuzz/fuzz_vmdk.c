// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* VMDK headers and their descriptions: a verdict, or an error that names the file. */
#include "disk/header.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    size_t seen = MIN(size, DISK_HEADER_BYTES);

    if (!disk_vmdk_check(data, seen, "fuzz", &error))
        g_assert(error != NULL && g_str_has_prefix(error->message, "fuzz: "));
    disk_foreign_detect(data, seen);
    return 0;
}
