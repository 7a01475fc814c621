// SPDX-License-Identifier: Apache-2.0
/*
 * Decoding .xz by the file's own index, which works in parallel on every multi-block file, whoever wrote it, and before the
 * file is complete. We decode from the index rather than with lzma_stream_decoder_mt: less memory, and not its CVE history.
 */
#include "base/digest.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "disk/sparse.h"
#include "disk/xz.h"

#include <pthread.h>
#include <unistd.h>

#define IN_BUFFER_BYTES (64u << 10)
#define OUT_BUFFER_BYTES (256u << 10)

struct DiskXzUnpack {
    DiskXzInput input;
    int out_fd;
    const char *name, *out_name;
    Progress *progress;
    lzma_index *index;
    pthread_mutex_t lock; /* guards @next */
    lzma_index_iter next;
    /* For the manifest; else NULL. Every thread has blocks and bits of its own. */
    DiskManifestBlock *blocks;
    atomic_uchar *map; /* a bit per DISK_GRAIN bytes of the image: set where there is data */
};

/* What the index says of one block. */
typedef struct {
    uint64_t in_offset, in_size, out_offset, out_size;
    lzma_vli unpadded_size;
    lzma_check check;
    DiskManifestBlock *note; /* NULL: nobody wants to know */
} BlockPlace;

/* One block on its way through the decoder. */
typedef struct {
    DiskXzUnpack *unpack;
    const BlockPlace *place;
    lzma_stream stream;
    uint64_t in_at, out_at;
    Digest *packed, *raw; /* NULL: nobody wants to know */
} BlockRun;

static void
block_run_clear(BlockRun *run)
{
    lzma_end(&run->stream);
    digest_free(run->packed);
    digest_free(run->raw);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BlockRun, block_run_clear)

static bool
read_in(BlockRun *run, void *data, size_t size, GError **error)
{
    const DiskXzInput *input = &run->unpack->input;

    if (!interrupt_check(error) || !input->read(input->context, data, size, run->in_at, error))
        return false;
    if (run->packed != NULL)
        digest_update(run->packed, data, size);
    run->in_at += size;
    return true;
}

static bool
write_out(BlockRun *run, const uint8_t *data, size_t size, GError **error)
{
    DiskXzUnpack *unpack = run->unpack;

    if (!disk_sparse_write_mapped(unpack->out_fd, data, size, run->out_at, unpack->map, unpack->out_name,
                                  error))
        return false;
    if (run->raw != NULL)
        digest_update(run->raw, data, size);
    progress_add(unpack->progress, size);
    run->out_at += size;
    return true;
}

/* Feed the block's data through the decoder and write what comes out. */
static bool
decode_body(BlockRun *run, GError **error)
{
    g_autofree uint8_t *in = g_malloc(IN_BUFFER_BYTES);
    g_autofree uint8_t *out = g_malloc(OUT_BUFFER_BYTES);
    const BlockPlace *place = run->place;
    lzma_stream *stream = &run->stream;
    uint64_t in_end = place->in_offset + place->in_size;
    lzma_ret ret = LZMA_OK;

    stream->next_out = out;
    stream->avail_out = OUT_BUFFER_BYTES;
    while (ret != LZMA_STREAM_END) {
        if (stream->avail_in == 0 && run->in_at < in_end) {
            size_t n = MIN(in_end - run->in_at, IN_BUFFER_BYTES);

            if (!read_in(run, in, n, error))
                return false;
            stream->next_in = in;
            stream->avail_in = n;
        }
        ret = lzma_code(stream, LZMA_RUN);
        if (ret != LZMA_OK && ret != LZMA_STREAM_END)
            return disk_xz_fail(error, run->unpack->name, ret);
        if (stream->avail_out == 0 || ret == LZMA_STREAM_END) {
            if (!write_out(run, out, OUT_BUFFER_BYTES - stream->avail_out, error))
                return false;
            stream->next_out = out;
            stream->avail_out = OUT_BUFFER_BYTES;
        }
    }
    if (stream->avail_in > 0 || run->in_at < in_end || run->out_at != place->out_offset + place->out_size)
        return disk_xz_fail(error, run->unpack->name, LZMA_DATA_ERROR);
    return true;
}

/* The header against the index, and against our memory limit. @filters are then the caller's to free. */
static lzma_ret
check_block_header(lzma_block *block, const BlockPlace *place, const uint8_t *header)
{
    lzma_ret ret = lzma_block_header_decode(block, NULL, header);

    if (ret != LZMA_OK)
        return ret;
    ret = lzma_block_compressed_size(block, place->unpadded_size);
    if (ret == LZMA_OK && block->uncompressed_size == LZMA_VLI_UNKNOWN)
        block->uncompressed_size = place->out_size; /* the decoder writes no byte more */
    if (ret == LZMA_OK && block->uncompressed_size != place->out_size)
        ret = LZMA_DATA_ERROR;
    if (ret == LZMA_OK && lzma_raw_decoder_memusage(block->filters) > DISK_XZ_MAX_MEMORY)
        ret = LZMA_MEMLIMIT_ERROR;
    return ret;
}

static bool
decode_block(BlockRun *run, lzma_block *block, GError **error)
{
    const char *name = run->unpack->name;
    uint8_t header[LZMA_BLOCK_HEADER_SIZE_MAX];
    lzma_ret ret;

    if (!read_in(run, header, 1, error))
        return false;
    block->header_size = lzma_block_header_size_decode(header[0]);
    /* A zero byte would be the start of an index: the index that sent us here is wrong. */
    if (header[0] == 0 || block->header_size > run->place->in_size)
        return disk_xz_fail(error, name, LZMA_DATA_ERROR);
    if (!read_in(run, header + 1, block->header_size - 1, error))
        return false;
    ret = check_block_header(block, run->place, header);
    if (ret == LZMA_OK)
        ret = lzma_block_decoder(&run->stream, block);
    return ret == LZMA_OK ? decode_body(run, error) : disk_xz_fail(error, name, ret);
}

static bool
unpack_block(DiskXzUnpack *unpack, const BlockPlace *place, GError **error)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1] = {{.id = LZMA_VLI_UNKNOWN}};
    lzma_block block = {.version = 1, .check = place->check, .filters = filters};
    g_auto(BlockRun) run = {.unpack = unpack,
                            .place = place,
                            .stream = LZMA_STREAM_INIT,
                            .in_at = place->in_offset,
                            .out_at = place->out_offset};
    bool is_done;

    if (!lzma_check_is_supported(place->check)) /* else it would be decoded without being checked */
        return disk_xz_fail(error, unpack->name, LZMA_UNSUPPORTED_CHECK);
    if (place->note != NULL) {
        run.packed = digest_new(DIGEST_SHA256);
        run.raw = digest_new(DIGEST_SHA256);
    }
    is_done = decode_block(&run, &block, error);
    lzma_filters_free(filters, NULL);
    if (is_done && place->note != NULL) {
        place->note->packed_size = (uint32_t)place->in_size;
        place->note->raw_size = (uint32_t)place->out_size;
        digest_finish_sha256(run.packed, place->note->packed_sha256);
        digest_finish_sha256(run.raw, place->note->raw_sha256);
    }
    return is_done;
}

bool
disk_xz_unpack_next(DiskXzUnpack *unpack, bool *out_is_end, GError **error)
{
    const lzma_index_iter *iter = &unpack->next;
    BlockPlace place = {0};

    pthread_mutex_lock(&unpack->lock);
    *out_is_end = lzma_index_iter_next(&unpack->next, LZMA_INDEX_ITER_BLOCK);
    if (!*out_is_end)
        place = (BlockPlace){.in_offset = iter->block.compressed_file_offset,
                             .in_size = iter->block.total_size,
                             .out_offset = iter->block.uncompressed_file_offset,
                             .out_size = iter->block.uncompressed_size,
                             .unpadded_size = iter->block.unpadded_size,
                             .check = iter->stream.flags->check,
                             .note = unpack->blocks != NULL ? &unpack->blocks[iter->block.number_in_file - 1]
                                                            : NULL};
    pthread_mutex_unlock(&unpack->lock);
    return *out_is_end || unpack_block(unpack, &place, error);
}

/* ---- the manifest ---- */

static bool
can_have_manifest(const lzma_index *index)
{
    lzma_vli blocks = lzma_index_block_count(index), raw = lzma_index_uncompressed_size(index);
    lzma_index_iter iter;

    /* Every check of the file is CRC32 or better: else nobody would notice the decoder's own errors. */
    if (lzma_index_stream_count(index) != 1 || (lzma_index_checks(index) & 1u) != 0 || blocks == 0 ||
        blocks > DISK_MANIFEST_MAX_BLOCKS || raw == 0 || raw > DISK_XZ_MAX_MAPPED ||
        lzma_index_file_size(index) != lzma_index_stream_size(index))
        return false;
    lzma_index_iter_init(&iter, index);
    while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK))
        if (iter.block.uncompressed_size == 0 || iter.block.uncompressed_size > DISK_MANIFEST_MAX_BLOCK ||
            iter.block.total_size > G_MAXUINT32)
            return false;
    return true;
}

static bool
read_piece(const DiskXzUnpack *unpack, uint64_t at, uint64_t size, DiskManifestPiece *out_piece,
           GError **error)
{
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA256);
    g_autofree uint8_t *buffer = g_malloc(IN_BUFFER_BYTES);

    out_piece->size = (uint32_t)size;
    for (uint64_t end = at + size; at < end;) {
        size_t n = MIN(end - at, IN_BUFFER_BYTES);

        if (!unpack->input.read(unpack->input.context, buffer, n, at, error))
            return false;
        digest_update(digest, buffer, n);
        at += n;
    }
    digest_finish_sha256(digest, out_piece->sha256);
    return true;
}

static void
add_runs(const DiskXzUnpack *unpack, DiskManifest *manifest)
{
    uint64_t n = (manifest->raw_size + DISK_GRAIN - 1) / DISK_GRAIN;

    for (uint64_t i = 0; i < n; i++)
        disk_manifest_add_run(manifest, 1, (atomic_load(&unpack->map[i / 8]) >> i % 8 & 1) == 0);
}

bool
disk_xz_unpack_manifest(DiskXzUnpack *unpack, DiskManifest **out_manifest, GError **error)
{
    g_autoptr(DiskManifest) manifest = NULL;
    uint64_t blocks_size = 0;
    lzma_index_iter iter;

    *out_manifest = NULL;
    if (unpack->blocks == NULL)
        return true;
    manifest = disk_manifest_new();
    lzma_index_iter_init(&iter, unpack->index);
    if (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_STREAM))
        manifest->check = (uint8_t)iter.stream.flags->check;
    manifest->packed_size = unpack->input.size;
    manifest->raw_size = lzma_index_uncompressed_size(unpack->index);
    if (!read_piece(unpack, 0, LZMA_STREAM_HEADER_SIZE, &manifest->head, error))
        return false;
    for (lzma_vli i = 0; i < lzma_index_block_count(unpack->index); i++) {
        disk_manifest_add_block(manifest, &unpack->blocks[i]);
        blocks_size += unpack->blocks[i].packed_size;
    }
    blocks_size += LZMA_STREAM_HEADER_SIZE;
    if (!read_piece(unpack, blocks_size, unpack->input.size - blocks_size, &manifest->tail, error))
        return false;
    add_runs(unpack, manifest);
    *out_manifest = g_steal_pointer(&manifest);
    return true;
}

/* ---- all of it ---- */

DiskXzUnpack *
disk_xz_unpack_new(const DiskXzInput *input, int out_fd, const char *name, uint64_t max_size,
                   bool has_manifest, GError **error)
{
    g_autoptr(DiskXzUnpack) unpack = g_new0(DiskXzUnpack, 1);
    uint64_t size;

    pthread_mutex_init(&unpack->lock, NULL);
    unpack->input = *input;
    unpack->out_fd = out_fd;
    unpack->name = unpack->out_name = name;
    unpack->index = disk_xz_read_index(input, name, error);
    if (unpack->index == NULL)
        return NULL;
    size = lzma_index_uncompressed_size(unpack->index);
    if (size > max_size) {
        error_set(error,
                  "%s: unpacks to %" G_GUINT64_FORMAT " bytes, at most %" G_GUINT64_FORMAT " are allowed",
                  name, size, max_size);
        return NULL;
    }
    if (ftruncate(out_fd, (off_t)size) < 0) {
        error_set_errno(error, "%s: cannot set its size", name);
        return NULL;
    }
    if (has_manifest && can_have_manifest(unpack->index)) {
        unpack->blocks = g_new0(DiskManifestBlock, lzma_index_block_count(unpack->index));
        unpack->map = g_malloc0(size / DISK_GRAIN / 8 + 1);
    }
    lzma_index_iter_init(&unpack->next, unpack->index);
    return g_steal_pointer(&unpack);
}

void
disk_xz_unpack_free(DiskXzUnpack *unpack)
{
    if (unpack == NULL)
        return;
    lzma_index_end(unpack->index, NULL);
    pthread_mutex_destroy(&unpack->lock);
    g_free(unpack->blocks);
    g_free(unpack->map);
    g_free(unpack);
}

static bool
unpack_item(size_t item G_GNUC_UNUSED, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    bool is_end;

    return disk_xz_unpack_next(context, &is_end, error);
}

bool
disk_xz_decompress(int in_fd, const char *in_name, int out_fd, const char *out_name, uint64_t max_size,
                   unsigned threads, Progress *progress, GError **error)
{
    const DiskXzFile file = {in_fd, in_name};
    g_autoptr(DiskXzUnpack) unpack = NULL;
    DiskXzInput input;

    if (!disk_xz_input_file(&input, &file, error))
        return false;
    unpack = disk_xz_unpack_new(&input, out_fd, in_name, max_size, false, error);
    if (unpack == NULL)
        return false;
    unpack->out_name = out_name;
    unpack->progress = progress;
    return pool_run(threads, lzma_index_block_count(unpack->index), unpack_item, unpack, error);
}
