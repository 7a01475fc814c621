// SPDX-License-Identifier: Apache-2.0
/*
 * One block by its manifest: packed digest, then the decoder, raw digest and hole map while the data goes to its place. It is
 * decoded in steps and written as it comes, so that a thread needs no more than the decoder's dictionary: the packed bytes
 * are trusted, and who asked learns at the end whether the place may be called done.
 */
#include "base/digest.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "disk/sparse.h"
#include "disk/xz.h"

#include <fcntl.h>
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

/* @filters are then the caller's to free, whatever comes back. */
static lzma_ret
open_decoder(const DiskBlock *block, lzma_stream *stream, lzma_block *header)
{
    lzma_ret ret;

    header->header_size = lzma_block_header_size_decode(block->packed[0]);
    /* A zero byte would be the start of an index. */
    if (block->packed[0] == 0 || header->header_size > block->place.packed_size)
        return LZMA_DATA_ERROR;
    ret = lzma_block_header_decode(header, NULL, block->packed);
    if (ret != LZMA_OK)
        return ret;
    if (header->uncompressed_size == LZMA_VLI_UNKNOWN)
        header->uncompressed_size = block->place.raw_size; /* the decoder gives no byte more */
    if (header->uncompressed_size != block->place.raw_size ||
        (header->compressed_size != LZMA_VLI_UNKNOWN &&
         lzma_block_total_size(header) != block->place.packed_size))
        return LZMA_DATA_ERROR;
    if (lzma_raw_decoder_memusage(header->filters) > DISK_XZ_MAX_MEMORY)
        return LZMA_MEMLIMIT_ERROR;
    return lzma_block_decoder(stream, header);
}

/* @size bytes of the raw data, which start at @at: those that the map calls data are written, the others must be zero. */
static bool
write_by_map(const DiskBlock *block, const uint8_t *data, size_t size, uint64_t at, int fd, const char *name,
             GError **error)
{
    uint64_t end = at + size, done = at, start, stop;

    while (disk_manifest_next_data(block->manifest, done, end, &start, &stop)) {
        if (!disk_sparse_is_zero(data + (done - at), start - done))
            return contradiction(block, name, "has data in a hole", error);
        if (!fd_pwrite_all(fd, data + (start - at), stop - start, start, name, error))
            return false;
        done = stop;
    }
    return disk_sparse_is_zero(data + (done - at), end - done) ||
           contradiction(block, name, "has data in a hole", error);
}

static bool
decode(const DiskBlock *block, lzma_stream *stream, uint32_t header_size, int fd, const char *name,
       GError **error)
{
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA256);
    g_autofree uint8_t *out = g_malloc(DISK_UNPACK_BYTES);
    uint8_t sha256[DISK_SHA256_BYTES];
    uint64_t done = 0;
    lzma_ret ret = LZMA_OK;

    stream->next_in = block->packed + header_size;
    stream->avail_in = block->place.packed_size - header_size;
    while (ret != LZMA_STREAM_END) {
        size_t n;

        if (!interrupt_check(error))
            return false;
        stream->next_out = out;
        stream->avail_out = DISK_UNPACK_BYTES;
        do {
            ret = lzma_code(stream, LZMA_RUN); /* without input it ends with LZMA_BUF_ERROR */
        } while (ret == LZMA_OK && stream->avail_out > 0);
        if (ret != LZMA_OK && ret != LZMA_STREAM_END)
            return disk_xz_fail(error, name, ret);
        n = DISK_UNPACK_BYTES - stream->avail_out;
        digest_update(digest, out, n);
        if (!write_by_map(block, out, n, block->place.raw_offset + done, fd, name, error))
            return false;
        done += n;
    }
    digest_finish_sha256(digest, sha256);
    if (stream->avail_in > 0 || done != block->place.raw_size ||
        memcmp(sha256, block->place.raw_sha256, DISK_SHA256_BYTES) != 0)
        return contradiction(block, name, "unpacks to other data", error);
    return true;
}

bool
disk_block_unpack(const DiskBlock *block, int out_fd, const char *out_name, GError **error)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1] = {{.id = LZMA_VLI_UNKNOWN}};
    lzma_block header = {.version = 1, .check = block->manifest->check, .filters = filters};
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret ret;
    bool is_done;

    if (!lzma_check_is_supported(header.check)) /* else it would be decoded without being checked */
        return disk_xz_fail(error, out_name, LZMA_UNSUPPORTED_CHECK);
    ret = open_decoder(block, &stream, &header);
    is_done = ret == LZMA_OK ? decode(block, &stream, header.header_size, out_fd, out_name, error)
                             : disk_xz_fail(error, out_name, ret);
    lzma_end(&stream);
    lzma_filters_free(filters, NULL);
    return is_done;
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
disk_block_compare(const DiskManifest *manifest, guint number, int fd, const char *name, bool *out_is_same,
                   GError **error)
{
    const DiskManifestBlock *place = block_at(manifest, number);
    uint64_t at = place->raw_offset, end = at + place->raw_size, start, stop;
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA256);
    g_autofree uint8_t *data = NULL;
    uint8_t sha256[DISK_SHA256_BYTES];

    if (!disk_sparse_next_data(fd, at, end, &start, &stop)) {
        *out_is_same = disk_block_is_hole(manifest, number);
        return true;
    }
    data = g_malloc(DISK_UNPACK_BYTES);
    for (; at < end; at += MIN(end - at, DISK_UNPACK_BYTES)) {
        size_t n = MIN(end - at, DISK_UNPACK_BYTES);
        bool is_zero;

        if (!interrupt_check(error) || !disk_sparse_read(fd, data, n, at, name, &is_zero, error))
            return false;
        digest_update(digest, data, n);
    }
    digest_finish_sha256(digest, sha256);
    *out_is_same = memcmp(sha256, place->raw_sha256, DISK_SHA256_BYTES) == 0;
    return true;
}

bool
disk_block_erase(const DiskManifest *manifest, guint number, int fd, const char *name, GError **error)
{
    const DiskManifestBlock *place = block_at(manifest, number);

    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)place->raw_offset,
                  (off_t)place->raw_size) < 0)
        return error_set_errno(error, "%s: cannot make a hole", name);
    return true;
}
