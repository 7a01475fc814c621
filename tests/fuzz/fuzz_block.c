// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* The packed bytes of a block that a manifest vouches for, taken for xz and for zstd: two bytes say how much they should unpack
 * to. */
#include "base/digest.h"
#include "base/fd.h"
#include "disk/disk.h"

#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
unpack(DiskCodec codec, const uint8_t *data, size_t size)
{
    g_autoptr(DiskManifest) manifest = disk_manifest_new();
    g_autoptr(DiskBlock) block = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(Fd) out = memfd_create("out", MFD_CLOEXEC);
    DiskManifestBlock place = {0};
    uint64_t written = 0;
    bool is_same = false;

    place.raw_size = data[0] + 256u * data[1] + 1;
    place.packed_size = (uint32_t)size - 2;
    digest_sha256(data + 2, place.packed_size, place.packed_sha256);
    manifest->codec = codec;
    manifest->check = codec == DISK_XZ ? 4 : 0;
    manifest->raw_size = place.raw_size;
    disk_manifest_add_block(manifest, &place);
    disk_manifest_add_run(manifest, (place.raw_size + DISK_GRAIN - 1) / DISK_GRAIN, false);
    block = disk_block_verify(manifest, 0, g_memdup2(data + 2, place.packed_size));
    g_assert(block != NULL);
    if (!disk_block_unpack(block, &(DiskTarget){.fd = out, .name = "out"}, &error))
        g_assert(error != NULL);
    /* No byte past the block, whatever its header says; and nobody guesses a digest of zeroes. */
    g_assert(fd_size(out, "out", &written, NULL) && written <= place.raw_size && error != NULL);
    g_assert(disk_block_compare(manifest, 0, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL) &&
             !is_same);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    unpack(DISK_XZ, data, size);
    unpack(DISK_ZSTD, data, size);
    return 0;
}
