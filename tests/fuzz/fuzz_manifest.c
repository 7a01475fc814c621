// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* Manifests: whatever is accepted adds up, and is printed as it was, but for sections that are not known here. */
#include "disk/disk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_blocks(const DiskManifest *manifest)
{
    uint64_t packed = manifest->head.size, raw = 0;

    for (guint i = 0; i < manifest->blocks->len; i++) {
        const DiskManifestBlock *block = &g_array_index(manifest->blocks, DiskManifestBlock, i);

        g_assert(block->packed_offset == packed && block->raw_offset == raw);
        g_assert(block->raw_size > 0 && block->raw_size <= DISK_MANIFEST_MAX_BLOCK);
        packed += block->packed_size;
        raw += block->raw_size;
    }
    g_assert(raw == manifest->raw_size && packed + manifest->tail.size == manifest->packed_size);
}

static void
check_map(const DiskManifest *manifest)
{
    uint64_t at = 0, start, end;

    while (disk_manifest_next_data(manifest, at, manifest->raw_size, &start, &end)) {
        g_assert(start >= at && end > start && end <= manifest->raw_size);
        at = end;
    }
}

static void
check_layout(const DiskManifest *manifest)
{
    g_autoptr(DiskLayout) layout = disk_layout_of_manifest(manifest, "fuzz", NULL);

    g_assert(layout == NULL || disk_layout_virtual_size(layout) >= manifest->raw_size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskManifest) manifest = disk_manifest_parse(data, size, "fuzz", &error);
    g_autoptr(GBytes) printed = NULL;

    if (manifest == NULL) {
        g_assert(error != NULL);
        return 0;
    }
    check_blocks(manifest);
    check_map(manifest);
    check_layout(manifest);
    printed = disk_manifest_print(manifest, NULL);
    g_assert(printed != NULL && g_bytes_get_size(printed) <= size);
    g_assert(memcmp(g_bytes_get_data(printed, NULL), data, g_bytes_get_size(printed)) == 0);
    return 0;
}
