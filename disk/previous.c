// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks of the image before, found by the digest of their raw data. The manifest is trusted and the file is not: what
 * is damaged, missing or odd only costs the time to compress it again.
 */
#include "disk/previous.h"

#include "base/digest.h"
#include "base/fd.h"
#include "disk/xz.h"
#include "disk/zstd.h"

#include <string.h>

struct DiskPrevious {
    int fd;
    DiskCodec codec;
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
disk_previous_new(const DiskManifest *manifest, int fd, DiskCodec codec)
{
    DiskPrevious *previous;

    if (manifest == NULL || manifest->codec != codec)
        return NULL;
    /* Blocks of one stream share their check; ours have CRC64. */
    if (codec == DISK_XZ && manifest->check != LZMA_CHECK_CRC64)
        return NULL;
    previous = g_new0(DiskPrevious, 1);
    previous->fd = fd;
    previous->codec = codec;
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

static bool
has_header(const DiskPrevious *previous, const uint8_t *packed, size_t packed_size, size_t raw_size)
{
    return previous->codec == DISK_XZ ? disk_xz_block_measure(packed, packed_size, raw_size) > 0
                                      : disk_zstd_states(packed, packed_size, raw_size);
}

size_t
disk_previous_copy(const DiskPrevious *previous, const uint8_t *raw_sha256, size_t raw_size, uint8_t *packed,
                   size_t bound)
{
    DiskManifestBlock wanted = {.raw_size = (uint32_t)raw_size};
    const DiskManifestBlock *found;
    uint8_t sha256[DISK_SHA256_BYTES];

    memcpy(wanted.raw_sha256, raw_sha256, DISK_SHA256_BYTES);
    found = g_hash_table_lookup(previous->blocks, &wanted);
    if (found == NULL || found->packed_size > bound ||
        !fd_pread_exact(previous->fd, packed, found->packed_size, found->packed_offset, "", NULL))
        return 0;
    digest_sha256(packed, found->packed_size, sha256);
    if (memcmp(sha256, found->packed_sha256, DISK_SHA256_BYTES) != 0)
        return 0;
    return has_header(previous, packed, found->packed_size, raw_size) ? found->packed_size : 0;
}
