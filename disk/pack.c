// SPDX-License-Identifier: Apache-2.0
/*
 * A whole image into one .xz stream or into zstd frames, and its manifest in the same pass. Every thread reads, hashes and compresses blocks
 * of its own; what is done early waits in a bounded window, and whoever completes the next block in the file's order
 * writes all that follow. Memory is bounded by threads x block, whatever the image.
 */
#include "base/digest.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "disk/previous.h"
#include "disk/sparse.h"
#include "disk/xz.h"
#include "disk/zstd.h"

#include <pthread.h>
#include <string.h>

#define WINDOW_PER_THREAD 2u /* blocks: a slow one then seldom holds up the other threads */
#define GRAINS (DISK_BLOCK_BYTES / DISK_GRAIN)

typedef struct {
    uint8_t *raw;
    uint8_t *packed;
} Scratch;

/* A block on its way into the file. */
typedef struct {
    uint8_t *packed; /* NULL: not there yet */
    bool is_shared;  /* the data belongs to the encoder */
    DiskManifestBlock described;
    uint8_t zero_map[GRAINS / 8]; /* a set bit: this grain is all zero */
} Finished;

typedef struct {
    int in_fd, out_fd;
    const char *in_name, *out_name;
    DiskCodec codec;
    uint64_t raw_size;
    Progress *progress;
    Scratch *scratch; /* one per worker */
    const DiskPrevious *previous;

    pthread_mutex_t zero_lock; /* guards @zero */
    Finished zero;             /* a full block of zeroes: most of a disk image; made on first need */

    pthread_mutex_t lock; /* guards what follows; what is below @is_writing belongs to whoever set it */
    pthread_cond_t moved;
    size_t turn; /* the block that is to be written next */
    size_t window;
    Finished *waiting; /* @window of them, block i at i % window */
    uint64_t reused;
    GError *failure; /* the first one: whoever waits gives up with it */
    bool is_writing;
    lzma_index *index; /* of xz */
    Digest *digest;
    DiskManifest *manifest;
    uint64_t written;
} Encoder;

static bool
emit(Encoder *encoder, const void *data, size_t size, GError **error)
{
    if (!fd_write_all(encoder->out_fd, data, size, encoder->out_name, error))
        return false;
    digest_update(encoder->digest, data, size);
    encoder->written += size;
    return true;
}

static void
finished_clear(Finished *finished)
{
    if (!finished->is_shared)
        g_free(finished->packed);
    finished->packed = NULL;
}

/* ---- one block ---- */

static void
describe(Finished *finished, const uint8_t *raw, size_t size)
{
    DiskManifestBlock *block = &finished->described;

    block->raw_size = (uint32_t)size;
    digest_sha256(raw, size, block->raw_sha256);
    for (size_t at = 0, grain = 0; at < size; at += DISK_GRAIN, grain++)
        if (disk_sparse_is_zero(raw + at, MIN(DISK_GRAIN, size - at)))
            finished->zero_map[grain / 8] |= (uint8_t)(1u << (grain % 8));
}

static size_t
packed_bound(const Encoder *encoder)
{
    return encoder->codec == DISK_XZ ? disk_xz_block_bound() : disk_zstd_bound(DISK_BLOCK_BYTES);
}

static size_t
encode(const Encoder *encoder, const Scratch *scratch, size_t size, GError **error)
{
    return encoder->codec == DISK_XZ
               ? disk_xz_block_encode(scratch->raw, size, scratch->packed, encoder->in_name, error)
               : disk_zstd_pack_block(scratch->raw, size, scratch->packed, error);
}

static void
keep_packed(Finished *finished, const Scratch *scratch, size_t size)
{
    finished->packed = g_memdup2(scratch->packed, size);
    finished->described.packed_size = (uint32_t)size;
    digest_sha256(finished->packed, size, finished->described.packed_sha256);
}

/* Copied from the image before, or compressed. */
static bool
finish_data(Encoder *encoder, const Scratch *scratch, size_t size, Finished *out_finished, GError **error)
{
    size_t packed = 0;

    describe(out_finished, scratch->raw, size);
    if (encoder->previous != NULL)
        packed = disk_previous_copy(encoder->previous, out_finished->described.raw_sha256, size,
                                    scratch->packed, packed_bound(encoder));
    if (packed > 0) {
        pthread_mutex_lock(&encoder->lock);
        encoder->reused += size;
        pthread_mutex_unlock(&encoder->lock);
    } else {
        packed = encode(encoder, scratch, size, error);
    }
    if (packed == 0)
        return false;
    keep_packed(out_finished, scratch, packed);
    return true;
}

static bool
finish_zeroes(Encoder *encoder, const Scratch *scratch, Finished *out_finished, GError **error)
{
    bool is_done = true;

    pthread_mutex_lock(&encoder->zero_lock);
    if (encoder->zero.packed == NULL) {
        size_t packed;

        memset(scratch->raw, 0, DISK_BLOCK_BYTES);
        describe(&encoder->zero, scratch->raw, DISK_BLOCK_BYTES);
        packed = encode(encoder, scratch, DISK_BLOCK_BYTES, error);
        is_done = packed > 0;
        if (is_done)
            keep_packed(&encoder->zero, scratch, packed);
    }
    *out_finished = encoder->zero;
    out_finished->is_shared = true;
    pthread_mutex_unlock(&encoder->zero_lock);
    return is_done;
}

static bool
finish_block(Encoder *encoder, Scratch *scratch, uint64_t offset, size_t size, Finished *out_finished,
             GError **error)
{
    uint64_t start, end;
    bool is_zero = true;

    if (scratch->raw == NULL) {
        scratch->raw = g_malloc(DISK_BLOCK_BYTES);
        scratch->packed = g_malloc(packed_bound(encoder));
    }
    /* A block that is one hole is not even looked at. */
    if (size < DISK_BLOCK_BYTES ||
        disk_sparse_next_data(encoder->in_fd, offset, offset + size, &start, &end)) {
        if (!disk_sparse_read(encoder->in_fd, scratch->raw, size, offset, encoder->in_name, &is_zero, error))
            return false;
        is_zero = is_zero && size == DISK_BLOCK_BYTES;
    }
    return is_zero ? finish_zeroes(encoder, scratch, out_finished, error)
                   : finish_data(encoder, scratch, size, out_finished, error);
}

/* ---- in order ---- */

static void
add_runs(DiskManifest *manifest, const Finished *finished)
{
    size_t grains = (finished->described.raw_size + DISK_GRAIN - 1) / DISK_GRAIN;

    for (size_t i = 0; i < grains; i++)
        disk_manifest_add_run(manifest, 1, (finished->zero_map[i / 8] >> (i % 8) & 1) != 0);
}

static bool
append_to_index(Encoder *encoder, const Finished *finished, GError **error)
{
    const DiskManifestBlock *block = &finished->described;
    lzma_vli unpadded = disk_xz_block_measure(finished->packed, block->packed_size, block->raw_size);
    lzma_ret ret = lzma_index_append(encoder->index, NULL, unpadded, block->raw_size);

    return ret == LZMA_OK || disk_xz_fail(error, encoder->in_name, ret);
}

static bool
write_block(Encoder *encoder, const Finished *finished, GError **error)
{
    if (!emit(encoder, finished->packed, finished->described.packed_size, error) ||
        (encoder->codec == DISK_XZ && !append_to_index(encoder, finished, error)))
        return false;
    disk_manifest_add_block(encoder->manifest, &finished->described);
    add_runs(encoder->manifest, finished);
    return true;
}

/* Write what is next in the file's order, as far as it is there. The lock is held, but not while writing. */
static bool
write_waiting(Encoder *encoder, GError **error)
{
    bool is_written = true;

    encoder->is_writing = true;
    while (is_written && encoder->waiting[encoder->turn % encoder->window].packed != NULL) {
        Finished *slot = &encoder->waiting[encoder->turn % encoder->window];
        Finished next = *slot;

        slot->packed = NULL;
        pthread_mutex_unlock(&encoder->lock);
        is_written = write_block(encoder, &next, error);
        if (is_written)
            progress_add(encoder->progress, next.described.raw_size);
        finished_clear(&next);
        pthread_mutex_lock(&encoder->lock);
        encoder->turn++;
        pthread_cond_broadcast(&encoder->moved);
    }
    encoder->is_writing = false;
    return is_written;
}

/* Takes over what @finished holds. */
static bool
hand_over(Encoder *encoder, size_t item, Finished *finished, GError **error)
{
    bool is_ok = true;

    pthread_mutex_lock(&encoder->lock);
    while (item - encoder->turn >= encoder->window && encoder->failure == NULL)
        pthread_cond_wait(&encoder->moved, &encoder->lock);
    if (encoder->failure != NULL) {
        g_propagate_error(error, g_error_copy(encoder->failure));
        finished_clear(finished);
        is_ok = false;
    } else {
        encoder->waiting[item % encoder->window] = *finished;
        if (!encoder->is_writing)
            is_ok = write_waiting(encoder, error);
    }
    pthread_mutex_unlock(&encoder->lock);
    return is_ok;
}

static bool
encode_item(size_t item, unsigned worker, void *context, GError **error)
{
    Encoder *encoder = context;
    uint64_t offset = (uint64_t)item * DISK_BLOCK_BYTES;
    size_t size = MIN(encoder->raw_size - offset, DISK_BLOCK_BYTES);
    g_autoptr(GError) failure = NULL;
    Finished finished = {0};

    if (interrupt_check(&failure) &&
        finish_block(encoder, &encoder->scratch[worker], offset, size, &finished, &failure) &&
        hand_over(encoder, item, &finished, &failure))
        return true;
    pthread_mutex_lock(&encoder->lock);
    if (encoder->failure == NULL)
        encoder->failure = g_error_copy(failure);
    pthread_cond_broadcast(&encoder->moved);
    pthread_mutex_unlock(&encoder->lock);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* ---- the .xz stream around the blocks ---- */

static bool
emit_piece(Encoder *encoder, const uint8_t *data, size_t size, DiskManifestPiece *piece, GError **error)
{
    piece->size = (uint32_t)size;
    digest_sha256(data, size, piece->sha256);
    return emit(encoder, data, size, error);
}

static bool
emit_header(Encoder *encoder, GError **error)
{
    lzma_stream_flags flags = {.version = 0, .check = LZMA_CHECK_CRC64};
    uint8_t header[LZMA_STREAM_HEADER_SIZE];
    lzma_ret ret = lzma_stream_header_encode(&flags, header);

    if (ret != LZMA_OK)
        return disk_xz_fail(error, encoder->in_name, ret);
    return emit_piece(encoder, header, sizeof header, &encoder->manifest->head, error);
}

static bool
emit_index_and_footer(Encoder *encoder, GError **error)
{
    size_t size = (size_t)lzma_index_size(encoder->index), at = 0;
    g_autofree uint8_t *data = g_malloc(size + LZMA_STREAM_HEADER_SIZE);
    lzma_stream_flags flags = {.version = 0, .check = LZMA_CHECK_CRC64, .backward_size = size};
    lzma_ret ret = lzma_index_buffer_encode(encoder->index, data, &at, size);

    if (ret == LZMA_OK)
        ret = lzma_stream_footer_encode(&flags, data + size);
    if (ret != LZMA_OK)
        return disk_xz_fail(error, encoder->in_name, ret);
    return emit_piece(encoder, data, size + LZMA_STREAM_HEADER_SIZE, &encoder->manifest->tail, error);
}

static void
encoder_init(Encoder *encoder, unsigned threads)
{
    encoder->scratch = g_new0(Scratch, threads);
    encoder->window = (size_t)threads * WINDOW_PER_THREAD;
    encoder->waiting = g_new0(Finished, encoder->window);
    encoder->index = lzma_index_init(NULL);
    encoder->digest = digest_new(DIGEST_SHA512);
    encoder->manifest = disk_manifest_new();
    encoder->manifest->codec = encoder->codec;
    encoder->manifest->check = encoder->codec == DISK_XZ ? LZMA_CHECK_CRC64 : 0;
}

static void
encoder_clear(Encoder *encoder, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        g_free(encoder->scratch[i].raw);
        g_free(encoder->scratch[i].packed);
    }
    g_free(encoder->scratch);
    for (size_t i = 0; i < encoder->window; i++)
        finished_clear(&encoder->waiting[i]);
    g_free(encoder->waiting);
    g_free(encoder->zero.packed);
    g_clear_error(&encoder->failure);
    lzma_index_end(encoder->index, NULL);
    digest_free(encoder->digest);
    disk_manifest_free(encoder->manifest);
    pthread_cond_destroy(&encoder->moved);
    pthread_mutex_destroy(&encoder->lock);
    pthread_mutex_destroy(&encoder->zero_lock);
}

void
disk_packed_clear(DiskPacked *result)
{
    g_clear_pointer(&result->sha512, g_free);
    g_clear_pointer(&result->manifest, disk_manifest_free);
}

bool
disk_pack(int in_fd, const char *in_name, int out_fd, const char *out_name, const DiskPackJob *job,
          DiskPacked *out_result, GError **error)
{
    g_autoptr(DiskPrevious) previous = disk_previous_new(job->previous, job->previous_fd, job->codec);
    Encoder encoder = {.in_fd = in_fd,
                       .in_name = in_name,
                       .out_fd = out_fd,
                       .out_name = out_name,
                       .codec = job->codec,
                       .progress = job->progress,
                       .previous = previous,
                       .zero_lock = PTHREAD_MUTEX_INITIALIZER,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .moved = PTHREAD_COND_INITIALIZER};
    size_t n_blocks;
    bool is_done;

    if (!fd_size(in_fd, in_name, &encoder.raw_size, error))
        return false;
    n_blocks = (size_t)((encoder.raw_size + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES);
    if (n_blocks > DISK_MANIFEST_MAX_BLOCKS)
        return error_set(error, "%s: larger than 8 TiB; an image in qcow2 format can hold a larger disk",
                         in_name);
    encoder_init(&encoder, job->threads);
    is_done = (job->codec != DISK_XZ || emit_header(&encoder, error)) &&
              pool_run(job->threads, n_blocks, encode_item, &encoder, error) &&
              (job->codec != DISK_XZ || emit_index_and_footer(&encoder, error));
    if (is_done) {
        encoder.manifest->raw_size = encoder.raw_size;
        encoder.manifest->packed_size = encoder.written;
        *out_result = (DiskPacked){.raw_size = encoder.raw_size,
                                   .compressed_size = encoder.written,
                                   .sha512 = digest_finish(encoder.digest),
                                   .manifest = g_steal_pointer(&encoder.manifest),
                                   .reused_bytes = encoder.reused};
    }
    encoder_clear(&encoder, job->threads);
    return is_done;
}
