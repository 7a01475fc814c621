// SPDX-License-Identifier: Apache-2.0
/* One block of an .xz stream: encoding it, reading a header that we wrote before, and unpacking it step by step. */
#include "base/interrupt.h"
#include "disk/xz.h"

#define PRESET 6u
#define CHECK_BYTES 8u               /* of CRC64 */
#define ENCODE_STEP_BYTES (1u << 20) /* between two looks at Ctrl-C: a tenth of a second or so */

size_t
disk_xz_block_bound(void)
{
    return lzma_block_buffer_bound(DISK_BLOCK_BYTES);
}

/* LZMA2 in steps, so that Ctrl-C is heard. *@out_fits is false for data that grows: it is stored instead. */
static bool
encode_body(lzma_block *block, const uint8_t *raw, size_t size, uint8_t *packed, const char *name,
            size_t *out_size, bool *out_fits, GError **error)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret ret = lzma_block_encoder(&stream, block);
    size_t left = size;
    bool is_interrupted = false;

    stream.next_in = raw;
    stream.next_out = packed + block->header_size;
    stream.avail_out = disk_xz_block_bound() - block->header_size;
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
    return ret == LZMA_STREAM_END || ret == LZMA_OK || disk_xz_fail(error, name, ret);
}

size_t
disk_xz_block_encode(const uint8_t *raw, size_t size, uint8_t *packed, const char *name, GError **error)
{
    lzma_options_lzma options;
    lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA2, .options = &options}, {.id = LZMA_VLI_UNKNOWN}};
    lzma_block block = {
        .version = 1,
        .check = LZMA_CHECK_CRC64,
        .filters = filters,
        /* Upper bounds: they reserve the header's room; the real sizes are shorter or equal. */
        .compressed_size = disk_xz_block_bound(),
        .uncompressed_size = size};
    size_t packed_size = 0;
    bool fits = false;
    lzma_ret ret;

    lzma_lzma_preset(&options, PRESET); /* fails only for an unknown preset */
    /* A larger dictionary than the block finds nothing more, and every decoder would have to reserve it. */
    options.dict_size = DISK_BLOCK_BYTES;
    ret = lzma_block_header_size(&block);
    if (ret == LZMA_OK && !encode_body(&block, raw, size, packed, name, &packed_size, &fits, error))
        return 0;
    if (ret == LZMA_OK && fits) {
        ret = lzma_block_header_encode(&block, packed);
    } else if (ret == LZMA_OK) {
        packed_size = 0;
        ret = lzma_block_uncomp_encode(&block, raw, size, packed, &packed_size, disk_xz_block_bound());
    }
    if (ret == LZMA_OK)
        return packed_size;
    disk_xz_fail(error, name, ret);
    return 0;
}

lzma_vli
disk_xz_block_measure(const uint8_t *packed, size_t packed_size, size_t raw_size)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1] = {{.id = LZMA_VLI_UNKNOWN}};
    lzma_block block = {.version = 1, .check = LZMA_CHECK_CRC64, .filters = filters};
    lzma_vli result = 0;

    if (packed_size == 0 || packed[0] == 0)
        return 0;
    block.header_size = lzma_block_header_size_decode(packed[0]);
    if (block.header_size + CHECK_BYTES > packed_size ||
        lzma_block_header_decode(&block, NULL, packed) != LZMA_OK)
        return 0;
    if (block.compressed_size != LZMA_VLI_UNKNOWN && block.uncompressed_size == raw_size &&
        lzma_block_total_size(&block) == packed_size)
        result = lzma_block_unpadded_size(&block);
    lzma_filters_free(filters, NULL);
    return result;
}

/* ---- unpacking ---- */

struct DiskXzReader {
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    lzma_block header;
    lzma_stream stream;
};

static lzma_ret
open_reader(DiskXzReader *reader, const uint8_t *packed, size_t packed_size, size_t raw_size)
{
    lzma_block *header = &reader->header;
    lzma_ret ret;

    if (!lzma_check_is_supported(header->check)) /* else it would be decoded without being checked */
        return LZMA_UNSUPPORTED_CHECK;
    header->header_size = lzma_block_header_size_decode(packed[0]);
    /* A zero byte would be the start of an index. */
    if (packed[0] == 0 || header->header_size > packed_size)
        return LZMA_DATA_ERROR;
    ret = lzma_block_header_decode(header, NULL, packed);
    if (ret != LZMA_OK)
        return ret;
    if (header->uncompressed_size == LZMA_VLI_UNKNOWN)
        header->uncompressed_size = raw_size; /* the decoder gives no byte more */
    if (header->uncompressed_size != raw_size ||
        (header->compressed_size != LZMA_VLI_UNKNOWN && lzma_block_total_size(header) != packed_size))
        return LZMA_DATA_ERROR;
    if (lzma_raw_decoder_memusage(header->filters) > DISK_XZ_MAX_MEMORY)
        return LZMA_MEMLIMIT_ERROR;
    reader->stream.next_in = packed + header->header_size;
    reader->stream.avail_in = packed_size - header->header_size;
    return lzma_block_decoder(&reader->stream, header);
}

DiskXzReader *
disk_xz_reader_new(const uint8_t *packed, size_t packed_size, size_t raw_size, uint8_t check,
                   const char *name, GError **error)
{
    g_autoptr(DiskXzReader) reader = g_new0(DiskXzReader, 1);
    lzma_ret ret;

    reader->filters[0].id = LZMA_VLI_UNKNOWN;
    reader->header = (lzma_block){.version = 1, .check = check, .filters = reader->filters};
    reader->stream = (lzma_stream)LZMA_STREAM_INIT;
    ret = open_reader(reader, packed, packed_size, raw_size);
    if (ret == LZMA_OK)
        return g_steal_pointer(&reader);
    disk_xz_fail(error, name, ret);
    return NULL;
}

void
disk_xz_reader_free(DiskXzReader *reader)
{
    if (reader == NULL)
        return;
    lzma_end(&reader->stream);
    lzma_filters_free(reader->filters, NULL);
    g_free(reader);
}

bool
disk_xz_read(DiskXzReader *reader, uint8_t *out, size_t size, const char *name, size_t *out_size,
             bool *out_is_end, GError **error)
{
    lzma_ret ret;

    reader->stream.next_out = out;
    reader->stream.avail_out = size;
    do {
        ret = lzma_code(&reader->stream, LZMA_RUN); /* without input it ends with LZMA_BUF_ERROR */
    } while (ret == LZMA_OK && reader->stream.avail_out > 0);
    if (ret == LZMA_STREAM_END && reader->stream.avail_in > 0)
        ret = LZMA_DATA_ERROR;
    if (ret != LZMA_OK && ret != LZMA_STREAM_END)
        return disk_xz_fail(error, name, ret);
    *out_size = size - reader->stream.avail_out;
    *out_is_end = ret == LZMA_STREAM_END;
    return true;
}
