// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* .xz files by their index: nothing may be written past the size that the index states. */
#include "base/fd.h"
#include "disk/disk.h"

#include <sys/mman.h>
#include <unistd.h>

#define MAX_RAW_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(Fd) in = memfd_create("in", MFD_CLOEXEC);
    g_auto(Fd) out = memfd_create("out", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    uint64_t stated = 0, written = 0;

    g_assert(in >= 0 && out >= 0 && fd_write_all(in, data, size, "in", NULL));
    if (!disk_xz_raw_size(in, "fuzz", &stated, NULL))
        return 0;
    if (!disk_xz_decompress(in, "fuzz", out, "out", MAX_RAW_BYTES, 1, NULL, &error))
        g_assert(error != NULL);
    g_assert(fd_size(out, "out", &written, NULL) && written <= MIN(stated, MAX_RAW_BYTES));
    return 0;
}
