// SPDX-License-Identifier: Apache-2.0
/* Block-parallel encoding into one .xz stream. Memory is bounded by threads x block, whatever the image. */
#include "base/digest.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "disk/sparse.h"
#include "disk/xz.h"

#include <pthread.h>
#include <unistd.h>

#define PRESET 6u
#define ENCODE_STEP_BYTES (1u << 20) /* between two looks at Ctrl-C: a tenth of a second or so */

typedef struct {
    uint8_t *raw;
    uint8_t *packed;
} EncodeScratch;

typedef struct {
    uint8_t *data;
    size_t size;
    lzma_vli unpadded_size;
} EncodedBlock;

typedef struct {
    int in_fd, out_fd;
    const char *in_name, *out_name;
    uint64_t raw_size;
    Progress *progress;
    EncodeScratch *scratch; /* one per worker */
    lzma_filter filters[2];
    lzma_options_lzma options;
    EncodedBlock zero; /* what a full block of zeroes encodes to; made on first need */

    pthread_mutex_t lock; /* guards what follows and the output */
    pthread_cond_t turned;
    size_t turn;     /* the block that is to be written next */
    GError *failure; /* the first one: whoever waits for a turn gives up with it */
    lzma_index *index;
    Digest *digest;
    uint64_t written;
} Encoder;

static size_t
packed_bound(void)
{
    return lzma_block_buffer_bound(DISK_XZ_BLOCK_BYTES);
}

static bool
emit(Encoder *encoder, const void *data, size_t size, GError **error)
{
    if (!fd_write_all(encoder->out_fd, data, size, encoder->out_name, error))
        return false;
    digest_update(encoder->digest, data, size);
    encoder->written += size;
    return true;
}

/* LZMA2 in steps, so that Ctrl-C is heard. *@out_fits is false for data that grows: it is stored instead. */
static bool
encode_body(Encoder *encoder, lzma_block *block, const uint8_t *raw, size_t size, uint8_t *packed,
            size_t *out_size, bool *out_fits, GError **error)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret ret = lzma_block_encoder(&stream, block);
    size_t left = size;
    bool is_interrupted = false;

    stream.next_in = raw;
    stream.next_out = packed + block->header_size;
    stream.avail_out = packed_bound() - block->header_size;
    while (ret == LZMA_OK && stream.avail_out > 0) {
        size_t step = MIN(left, ENCODE_STEP_BYTES);

        is_interrupted = !interrupt_check(error);
        if (is_interrupted)
            break;
        stream.avail_in += step;
        left -= step;
        ret = lzma_code(&stream, left > 0 ? LZMA_RUN : LZMA_FINISH);
    }
    *out_size = (size_t)(stream.next_out - packed);
    lzma_end(&stream);
    if (is_interrupted)
        return false;
    *out_fits = ret == LZMA_STREAM_END;
    return ret == LZMA_STREAM_END || ret == LZMA_OK || disk_xz_fail(error, encoder->in_name, ret);
}

/* One block: header with both sizes, data, padding, check. @packed has packed_bound() bytes. */
static bool
encode_block(Encoder *encoder, const uint8_t *raw, size_t size, uint8_t *packed, EncodedBlock *out_block,
             GError **error)
{
    lzma_block block = {
        .version = 1,
        .check = LZMA_CHECK_CRC64,
        .filters = encoder->filters,
        /* Upper bounds: they reserve the header's room; the real sizes are shorter or equal. */
        .compressed_size = packed_bound(),
        .uncompressed_size = size};
    size_t packed_size = 0;
    bool fits = false;
    lzma_ret ret = lzma_block_header_size(&block);

    if (ret != LZMA_OK)
        return disk_xz_fail(error, encoder->in_name, ret);
    if (!encode_body(encoder, &block, raw, size, packed, &packed_size, &fits, error))
        return false;
    if (fits) {
        ret = lzma_block_header_encode(&block, packed);
    } else {
        packed_size = 0;
        ret = lzma_block_uncomp_encode(&block, raw, size, packed, &packed_size, packed_bound());
    }
    if (ret != LZMA_OK)
        return disk_xz_fail(error, encoder->in_name, ret);
    *out_block = (EncodedBlock){packed, packed_size, lzma_block_unpadded_size(&block)};
    return true;
}

/* Most of a disk image is zeroes: their encoding is made once. */
static bool
encode_zero_block(Encoder *encoder, const EncodeScratch *scratch, EncodedBlock *out_block, GError **error)
{
    bool is_done = true;

    pthread_mutex_lock(&encoder->lock);
    if (encoder->zero.data == NULL) {
        EncodedBlock block;

        is_done = encode_block(encoder, scratch->raw, DISK_XZ_BLOCK_BYTES, scratch->packed, &block, error);
        if (is_done) {
            encoder->zero = block;
            encoder->zero.data = g_memdup2(block.data, block.size);
        }
    }
    *out_block = encoder->zero;
    pthread_mutex_unlock(&encoder->lock);
    return is_done;
}

static bool
write_in_turn(Encoder *encoder, size_t item, const EncodedBlock *block, size_t raw_size, GError **error)
{
    bool is_written = false;

    pthread_mutex_lock(&encoder->lock);
    while (encoder->turn != item && encoder->failure == NULL)
        pthread_cond_wait(&encoder->turned, &encoder->lock);
    if (encoder->failure != NULL) {
        g_propagate_error(error, g_error_copy(encoder->failure));
    } else if (emit(encoder, block->data, block->size, error)) {
        lzma_ret ret = lzma_index_append(encoder->index, NULL, block->unpadded_size, raw_size);

        is_written = ret == LZMA_OK || disk_xz_fail(error, encoder->in_name, ret);
    }
    encoder->turn++;
    pthread_cond_broadcast(&encoder->turned);
    pthread_mutex_unlock(&encoder->lock);
    return is_written;
}

static bool
encode_item(size_t item, unsigned worker, void *context, GError **error)
{
    Encoder *encoder = context;
    EncodeScratch *scratch = &encoder->scratch[worker];
    uint64_t offset = (uint64_t)item * DISK_XZ_BLOCK_BYTES;
    size_t size = MIN(encoder->raw_size - offset, DISK_XZ_BLOCK_BYTES);
    g_autoptr(GError) failure = NULL;
    EncodedBlock block;
    bool is_zero, is_done;

    if (scratch->raw == NULL) {
        scratch->raw = g_malloc(DISK_XZ_BLOCK_BYTES);
        scratch->packed = g_malloc(packed_bound());
    }
    is_done = interrupt_check(&failure) && disk_sparse_read(encoder->in_fd, scratch->raw, size, offset,
                                                            encoder->in_name, &is_zero, &failure);
    if (is_done && is_zero && size == DISK_XZ_BLOCK_BYTES)
        is_done = encode_zero_block(encoder, scratch, &block, &failure);
    else if (is_done)
        is_done = encode_block(encoder, scratch->raw, size, scratch->packed, &block, &failure);
    if (is_done && write_in_turn(encoder, item, &block, size, &failure)) {
        progress_add(encoder->progress, size);
        return true;
    }
    pthread_mutex_lock(&encoder->lock);
    if (encoder->failure == NULL)
        encoder->failure = g_error_copy(failure);
    pthread_cond_broadcast(&encoder->turned);
    pthread_mutex_unlock(&encoder->lock);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static bool
emit_header(Encoder *encoder, GError **error)
{
    lzma_stream_flags flags = {.version = 0, .check = LZMA_CHECK_CRC64};
    uint8_t header[LZMA_STREAM_HEADER_SIZE];
    lzma_ret ret = lzma_stream_header_encode(&flags, header);

    if (ret != LZMA_OK)
        return disk_xz_fail(error, encoder->in_name, ret);
    return emit(encoder, header, sizeof header, error);
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
    return emit(encoder, data, size + LZMA_STREAM_HEADER_SIZE, error);
}

static void
encoder_clear(Encoder *encoder, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        g_free(encoder->scratch[i].raw);
        g_free(encoder->scratch[i].packed);
    }
    g_free(encoder->scratch);
    g_free(encoder->zero.data);
    g_clear_error(&encoder->failure);
    lzma_index_end(encoder->index, NULL);
    digest_free(encoder->digest);
    pthread_cond_destroy(&encoder->turned);
    pthread_mutex_destroy(&encoder->lock);
}

void
disk_xz_result_clear(DiskXzResult *result)
{
    g_clear_pointer(&result->sha512, g_free);
}

bool
disk_xz_compress(int in_fd, const char *in_name, int out_fd, const char *out_name, unsigned threads,
                 Progress *progress, DiskXzResult *out_result, GError **error)
{
    Encoder encoder = {.in_fd = in_fd,
                       .in_name = in_name,
                       .out_fd = out_fd,
                       .out_name = out_name,
                       .progress = progress,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .turned = PTHREAD_COND_INITIALIZER};
    size_t n_blocks;
    bool is_done;

    if (!fd_size(in_fd, in_name, &encoder.raw_size, error))
        return false;
    n_blocks = (size_t)((encoder.raw_size + DISK_XZ_BLOCK_BYTES - 1) / DISK_XZ_BLOCK_BYTES);
    lzma_lzma_preset(&encoder.options, PRESET); /* fails only for an unknown preset */
    /* A larger dictionary than the block finds nothing more, and every decoder would have to reserve it. */
    encoder.options.dict_size = DISK_XZ_BLOCK_BYTES;
    encoder.filters[0] = (lzma_filter){.id = LZMA_FILTER_LZMA2, .options = &encoder.options};
    encoder.filters[1] = (lzma_filter){.id = LZMA_VLI_UNKNOWN};
    encoder.scratch = g_new0(EncodeScratch, threads);
    encoder.index = lzma_index_init(NULL);
    encoder.digest = digest_new(DIGEST_SHA512);
    is_done = emit_header(&encoder, error) && pool_run(threads, n_blocks, encode_item, &encoder, error) &&
              emit_index_and_footer(&encoder, error);
    if (is_done) {
        out_result->raw_size = encoder.raw_size;
        out_result->compressed_size = encoder.written;
        out_result->sha512 = digest_finish(encoder.digest);
    }
    encoder_clear(&encoder, threads);
    return is_done;
}
