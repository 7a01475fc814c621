// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks of the image before, found by the digest of their raw data. The manifest is trusted and the file is not: what
 * is damaged, missing or odd only costs the time to compress it again.
 */
#include "base/digest.h"
#include "base/fd.h"
#include "disk/xz.h"

#include <string.h>

struct DiskPrevious {
    int fd;
    GHashTable *blocks; /* (element-type DiskManifestBlock) keys and values are the manifest's blocks */
};

/* A digest's first bytes are as good as any hash of it. */
static guint
hash_block(gconstpointer key)
{
    guint hash;

    memcpy(&hash, ((const DiskManifestBlock *)key)->raw_sha256, sizeof hash);
    return hash;
}

static gboolean
is_same_data(gconstpointer a, gconstpointer b)
{
    const DiskManifestBlock *first = a, *second = b;

    return first->raw_size == second->raw_size &&
           memcmp(first->raw_sha256, second->raw_sha256, DISK_SHA256_BYTES) == 0;
}

DiskPrevious *
disk_previous_new(const DiskManifest *manifest, int fd)
{
    DiskPrevious *previous;

    /* Blocks of one stream share their check; ours have CRC64. */
    if (manifest == NULL || manifest->check != LZMA_CHECK_CRC64)
        return NULL;
    previous = g_new0(DiskPrevious, 1);
    previous->fd = fd;
    previous->blocks = g_hash_table_new(hash_block, is_same_data);
    for (guint i = 0; i < manifest->blocks->len; i++)
        g_hash_table_add(previous->blocks, &g_array_index(manifest->blocks, DiskManifestBlock, i));
    return previous;
}

void
disk_previous_free(DiskPrevious *previous)
{
    if (previous == NULL)
        return;
    g_hash_table_unref(previous->blocks);
    g_free(previous);
}

bool
disk_previous_copy(const DiskPrevious *previous, const uint8_t *raw_sha256, size_t raw_size, uint8_t *packed,
                   DiskXzBlock *out_block)
{
    DiskManifestBlock wanted = {.raw_size = (uint32_t)raw_size};
    const DiskManifestBlock *found;
    uint8_t sha256[DISK_SHA256_BYTES];
    DiskXzBlock block;

    memcpy(wanted.raw_sha256, raw_sha256, DISK_SHA256_BYTES);
    found = g_hash_table_lookup(previous->blocks, &wanted);
    if (found == NULL || found->packed_size > disk_xz_block_bound() ||
        !fd_pread_exact(previous->fd, packed, found->packed_size, found->packed_offset, "", NULL))
        return false;
    digest_sha256(packed, found->packed_size, sha256);
    if (memcmp(sha256, found->packed_sha256, DISK_SHA256_BYTES) != 0)
        return false;
    block = (DiskXzBlock){.data = packed, .size = found->packed_size};
    if (!disk_xz_block_measure(&block, raw_size))
        return false;
    *out_block = block;
    return true;
}
