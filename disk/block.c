// SPDX-License-Identifier: Apache-2.0
/*
 * One block by its manifest: packed digest, then the decoder, raw digest and hole map while the data goes to its place. xz is
 * decoded in steps and written as it comes, so that a thread needs no more than the decoder's dictionary: the packed bytes
 * are trusted, and who asked learns at the end whether the place may be called done.
 */
#include "base/digest.h"
#include "base/interrupt.h"
#include "disk/sparse.h"
#include "disk/target.h"
#include "disk/xz.h"
#include "disk/zstd.h"

#include <string.h>

struct DiskBlock {
    const DiskManifest *manifest;
    DiskManifestBlock place;
    guint number;
    uint8_t *packed;
};

static const DiskManifestBlock *
block_at(const DiskManifest *manifest, guint number)
{
    g_assert(number < manifest->blocks->len);
    return &g_array_index(manifest->blocks, DiskManifestBlock, number);
}

DiskBlock *
disk_block_verify(const DiskManifest *manifest, guint number, uint8_t *packed)
{
    g_autoptr(DiskBlock) block = g_new0(DiskBlock, 1);
    uint8_t sha256[DISK_SHA256_BYTES];

    *block = (DiskBlock){manifest, *block_at(manifest, number), number, packed};
    digest_sha256(packed, block->place.packed_size, sha256);
    if (memcmp(sha256, block->place.packed_sha256, DISK_SHA256_BYTES) != 0)
        return NULL;
    return g_steal_pointer(&block);
}

void
disk_block_free(DiskBlock *block)
{
    if (block == NULL)
        return;
    g_free(block->packed);
    g_free(block);
}

static bool
contradiction(const DiskBlock *block, const char *name, const char *what, GError **error)
{
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: block %u %s, against what its manifest states",
                          name, block->number, what);
}

/* @size bytes of the raw data, which start at @at: those that the map calls data are written, the others must be zero. */
static bool
write_by_map(const DiskBlock *block, const uint8_t *data, size_t size, uint64_t at, const DiskTarget *target,
             GError **error)
{
    uint64_t end = at + size, done = at, start, stop;

    while (disk_manifest_next_data(block->manifest, done, end, &start, &stop)) {
        if (!disk_sparse_is_zero(data + (done - at), start - done))
            return contradiction(block, target->name, "has data in a hole", error);
        if (!disk_target_write(target, data + (start - at), stop - start, start, error))
            return false;
        done = stop;
    }
    return disk_sparse_is_zero(data + (done - at), end - done) ||
           contradiction(block, target->name, "has data in a hole", error);
}

typedef struct {
    const DiskBlock *block;
    const DiskTarget *target;
    Digest *digest;
    uint64_t done; /* raw bytes */
} Raw;

static bool
raw_write(Raw *raw, const uint8_t *data, size_t size, GError **error)
{
    const DiskManifestBlock *place = &raw->block->place;

    digest_update(raw->digest, data, size);
    if (!write_by_map(raw->block, data, size, place->raw_offset + raw->done, raw->target, error))
        return false;
    raw->done += size;
    return true;
}

static bool
unpack_xz(Raw *raw, GError **error)
{
    const DiskManifestBlock *place = &raw->block->place;
    g_autoptr(DiskXzReader) reader =
        disk_xz_reader_new(raw->block->packed, place->packed_size, place->raw_size,
                           raw->block->manifest->check, raw->target->name, error);
    g_autofree uint8_t *out = g_malloc(DISK_UNPACK_BYTES);
    bool is_end = false;

    if (reader == NULL)
        return false;
    while (!is_end) {
        size_t n;

        if (!interrupt_check(error) ||
            !disk_xz_read(reader, out, DISK_UNPACK_BYTES, raw->target->name, &n, &is_end, error) ||
            !raw_write(raw, out, n, error))
            return false;
    }
    return true;
}

/* In one step: libzstd would copy each byte through its window once more. */
static bool
unpack_zstd(Raw *raw, GError **error)
{
    const DiskManifestBlock *place = &raw->block->place;
    g_autofree uint8_t *out = g_malloc(place->raw_size);

    if (!disk_zstd_unpack(raw->block->packed, place->packed_size, out, place->raw_size, raw->target->name,
                          error))
        return false;
    while (raw->done < place->raw_size)
        if (!interrupt_check(error) ||
            !raw_write(raw, out + raw->done, MIN(place->raw_size - raw->done, DISK_UNPACK_BYTES), error))
            return false;
    return true;
}

bool
disk_block_unpack(const DiskBlock *block, const DiskTarget *target, GError **error)
{
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA256);
    Raw raw = {block, target, digest, 0};
    uint8_t sha256[DISK_SHA256_BYTES];

    if (!(block->manifest->codec == DISK_ZSTD ? unpack_zstd : unpack_xz)(&raw, error))
        return false;
    digest_finish_sha256(digest, sha256);
    return (raw.done == block->place.raw_size &&
            memcmp(sha256, block->place.raw_sha256, DISK_SHA256_BYTES) == 0) ||
           contradiction(block, target->name, "unpacks to other data", error);
}

bool
disk_block_is_hole(const DiskManifest *manifest, guint number)
{
    const DiskManifestBlock *place = block_at(manifest, number);
    uint64_t start, end;

    return !disk_manifest_next_data(manifest, place->raw_offset, place->raw_offset + place->raw_size, &start,
                                    &end);
}

bool
disk_block_compare(const DiskManifest *manifest, guint number, const DiskTarget *target, bool *out_is_same,
                   GError **error)
{
    const DiskManifestBlock *place = block_at(manifest, number);
    uint64_t at = place->raw_offset, end = at + place->raw_size;
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA256);
    g_autofree uint8_t *data = NULL;
    uint8_t sha256[DISK_SHA256_BYTES];

    if (disk_target_is_hole(target, at, end)) {
        *out_is_same = disk_block_is_hole(manifest, number);
        return true;
    }
    data = g_malloc(DISK_UNPACK_BYTES);
    for (; at < end; at += MIN(end - at, DISK_UNPACK_BYTES)) {
        size_t n = MIN(end - at, DISK_UNPACK_BYTES);

        if (!interrupt_check(error) || !disk_target_read(target, data, n, at, error))
            return false;
        digest_update(digest, data, n);
    }
    digest_finish_sha256(digest, sha256);
    *out_is_same = memcmp(sha256, place->raw_sha256, DISK_SHA256_BYTES) == 0;
    return true;
}

bool
disk_block_erase(const DiskManifest *manifest, guint number, const DiskTarget *target, GError **error)
{
    const DiskManifestBlock *place = block_at(manifest, number);
    uint64_t at = place->raw_offset, end = at + place->raw_size, start, stop;

    if (!target->is_device)
        return disk_target_zero(target, at, end, error);
    /* What is data is written anyway, and zeroes may have to be written here, too. */
    for (; disk_manifest_next_data(manifest, at, end, &start, &stop); at = stop)
        if (!disk_target_zero(target, at, start, error))
            return false;
    return disk_target_zero(target, at, end, error);
}
