// SPDX-License-Identifier: Apache-2.0
/*
 * Decoding .xz by the file's own index, which works in parallel on every multi-block file, whoever wrote it. We decode
 * from the index rather than with lzma_stream_decoder_mt: less memory, and not its CVE history.
 */
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "disk/sparse.h"
#include "disk/xz.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define IN_BUFFER_BYTES (64u << 10)
#define OUT_BUFFER_BYTES (256u << 10)

static const uint8_t XZ_MAGIC[6] = {0xfd, '7', 'z', 'X', 'Z', 0};

bool
disk_xz_fail(GError **error, const char *name, lzma_ret ret)
{
    switch (ret) {
    case LZMA_FORMAT_ERROR:
        return error_set(error, "%s: not an .xz file", name);
    case LZMA_MEMLIMIT_ERROR:
        return error_set(error, "%s: wants more memory than the limit allows", name);
    case LZMA_OPTIONS_ERROR:
    case LZMA_UNSUPPORTED_CHECK:
        return error_set(error, "%s: uses .xz features that are not supported", name);
    case LZMA_MEM_ERROR:
        return error_set(error, "%s: out of memory", name);
    default:
        return error_set(error, "%s: the .xz data is damaged or truncated", name);
    }
}

bool
disk_is_xz(int fd)
{
    uint8_t start[sizeof XZ_MAGIC];

    return fd_pread(fd, start, sizeof start, 0, "", NULL) == (ssize_t)sizeof start &&
           memcmp(start, XZ_MAGIC, sizeof start) == 0;
}

/* The index of the whole file: every stream and padding, read from the end backwards. */
static lzma_index *
read_index(int fd, const char *name, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(IN_BUFFER_BYTES);
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_index *index = NULL;
    uint64_t file_size, at = 0;
    lzma_ret ret;

    if (!fd_size(fd, name, &file_size, error))
        return NULL;
    ret = lzma_file_info_decoder(&stream, &index, DISK_XZ_MAX_INDEX, file_size);
    while (ret == LZMA_OK || ret == LZMA_SEEK_NEEDED) {
        if (ret == LZMA_SEEK_NEEDED) {
            at = stream.seek_pos;
            stream.avail_in = 0;
        }
        if (stream.avail_in == 0) {
            ssize_t n = fd_pread(fd, buffer, IN_BUFFER_BYTES, at, name, error);

            if (n < 0) {
                lzma_end(&stream);
                return NULL;
            }
            stream.next_in = buffer;
            stream.avail_in = (size_t)n;
            at += (uint64_t)n;
        }
        ret = lzma_code(&stream, LZMA_RUN); /* without input it ends with LZMA_BUF_ERROR */
    }
    lzma_end(&stream);
    if (ret != LZMA_STREAM_END) {
        disk_xz_fail(error, name, ret);
        return NULL;
    }
    return index;
}

bool
disk_xz_raw_size(int fd, const char *name, uint64_t *out_size, GError **error)
{
    lzma_index *index = read_index(fd, name, error);

    if (index == NULL)
        return false;
    *out_size = lzma_index_uncompressed_size(index);
    lzma_index_end(index, NULL);
    return true;
}

typedef struct {
    int in_fd, out_fd;
    const char *in_name, *out_name;
    Progress *progress;
    pthread_mutex_t lock; /* guards @blocks */
    lzma_index_iter blocks;
} Decoder;

/* What the index says of one block. */
typedef struct {
    uint64_t in_offset, in_size, out_offset, out_size;
    lzma_vli unpadded_size;
    lzma_check check;
} BlockPlace;

/* Feed the block's data through @stream and write what comes out. */
static bool
decode_body(const Decoder *decoder, const BlockPlace *place, uint32_t header_size, lzma_stream *stream,
            GError **error)
{
    g_autofree uint8_t *in = g_malloc(IN_BUFFER_BYTES);
    g_autofree uint8_t *out = g_malloc(OUT_BUFFER_BYTES);
    uint64_t in_at = place->in_offset + header_size, in_end = place->in_offset + place->in_size;
    uint64_t out_at = place->out_offset;
    lzma_ret ret = LZMA_OK;

    stream->next_out = out;
    stream->avail_out = OUT_BUFFER_BYTES;
    while (ret != LZMA_STREAM_END) {
        if (stream->avail_in == 0 && in_at < in_end) {
            size_t n = MIN(in_end - in_at, IN_BUFFER_BYTES);

            if (!interrupt_check(error) ||
                !fd_pread_exact(decoder->in_fd, in, n, in_at, decoder->in_name, error))
                return false;
            stream->next_in = in;
            stream->avail_in = n;
            in_at += n;
        }
        ret = lzma_code(stream, LZMA_RUN);
        if (ret != LZMA_OK && ret != LZMA_STREAM_END)
            return disk_xz_fail(error, decoder->in_name, ret);
        if (stream->avail_out == 0 || ret == LZMA_STREAM_END) {
            size_t n = OUT_BUFFER_BYTES - stream->avail_out;

            if (!disk_sparse_write(decoder->out_fd, out, n, out_at, decoder->out_name, error))
                return false;
            progress_add(decoder->progress, n);
            out_at += n;
            stream->next_out = out;
            stream->avail_out = OUT_BUFFER_BYTES;
        }
    }
    if (stream->avail_in > 0 || in_at < in_end || out_at != place->out_offset + place->out_size)
        return disk_xz_fail(error, decoder->in_name, LZMA_DATA_ERROR);
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
decode_block(const Decoder *decoder, const BlockPlace *place, GError **error)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1] = {{.id = LZMA_VLI_UNKNOWN}};
    lzma_block block = {.version = 1, .check = place->check, .filters = filters};
    uint8_t header[LZMA_BLOCK_HEADER_SIZE_MAX];
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret ret;
    bool is_done;

    if (!fd_pread_exact(decoder->in_fd, header, 1, place->in_offset, decoder->in_name, error))
        return false;
    block.header_size = lzma_block_header_size_decode(header[0]);
    /* A zero byte would be the start of an index: the index that sent us here is wrong. */
    if (header[0] == 0 || block.header_size > place->in_size)
        return disk_xz_fail(error, decoder->in_name, LZMA_DATA_ERROR);
    if (!fd_pread_exact(decoder->in_fd, header, block.header_size, place->in_offset, decoder->in_name, error))
        return false;
    ret = check_block_header(&block, place, header);
    if (ret == LZMA_OK)
        ret = lzma_block_decoder(&stream, &block);
    is_done = ret == LZMA_OK ? decode_body(decoder, place, block.header_size, &stream, error)
                             : disk_xz_fail(error, decoder->in_name, ret);
    lzma_end(&stream);
    lzma_filters_free(filters, NULL);
    return is_done;
}

/* Which block a worker takes does not depend on @item: the next one of the index. */
static bool
decode_item(size_t item G_GNUC_UNUSED, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    Decoder *decoder = context;
    lzma_index_iter *iter = &decoder->blocks;
    BlockPlace place = {0};
    bool is_end;

    pthread_mutex_lock(&decoder->lock);
    is_end = lzma_index_iter_next(iter, LZMA_INDEX_ITER_BLOCK);
    if (!is_end)
        place = (BlockPlace){.in_offset = iter->block.compressed_file_offset,
                             .in_size = iter->block.total_size,
                             .out_offset = iter->block.uncompressed_file_offset,
                             .out_size = iter->block.uncompressed_size,
                             .unpadded_size = iter->block.unpadded_size,
                             .check = iter->stream.flags->check};
    pthread_mutex_unlock(&decoder->lock);
    g_assert(!is_end);
    if (!lzma_check_is_supported(place.check)) /* else it would be decoded without being checked */
        return disk_xz_fail(error, decoder->in_name, LZMA_UNSUPPORTED_CHECK);
    return decode_block(decoder, &place, error);
}

bool
disk_xz_decompress(int in_fd, const char *in_name, int out_fd, const char *out_name, uint64_t max_size,
                   unsigned threads, Progress *progress, GError **error)
{
    Decoder decoder = {.in_fd = in_fd,
                       .in_name = in_name,
                       .out_fd = out_fd,
                       .out_name = out_name,
                       .progress = progress,
                       .lock = PTHREAD_MUTEX_INITIALIZER};
    lzma_index *index = read_index(in_fd, in_name, error);
    uint64_t size;
    bool is_done;

    if (index == NULL)
        return false;
    size = lzma_index_uncompressed_size(index);
    if (size > max_size)
        is_done = error_set(
            error, "%s: unpacks to %" G_GUINT64_FORMAT " bytes, at most %" G_GUINT64_FORMAT " are allowed",
            in_name, (guint64)size, (guint64)max_size);
    else if (ftruncate(out_fd, (off_t)size) < 0)
        is_done = error_set_errno(error, "%s: cannot set its size", out_name);
    else {
        lzma_index_iter_init(&decoder.blocks, index);
        is_done = pool_run(threads, lzma_index_block_count(index), decode_item, &decoder, error);
    }
    lzma_index_end(index, NULL);
    pthread_mutex_destroy(&decoder.lock);
    return is_done;
}
