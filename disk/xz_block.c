// SPDX-License-Identifier: Apache-2.0
/* One block of an .xz stream: encoding it, and reading a header that we wrote before. */
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

bool
disk_xz_block_encode(const uint8_t *raw, size_t size, uint8_t *packed, const char *name,
                     DiskXzBlock *out_block, GError **error)
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
    if (ret != LZMA_OK)
        return disk_xz_fail(error, name, ret);
    if (!encode_body(&block, raw, size, packed, name, &packed_size, &fits, error))
        return false;
    if (fits) {
        ret = lzma_block_header_encode(&block, packed);
    } else {
        packed_size = 0;
        ret = lzma_block_uncomp_encode(&block, raw, size, packed, &packed_size, disk_xz_block_bound());
    }
    if (ret != LZMA_OK)
        return disk_xz_fail(error, name, ret);
    *out_block = (DiskXzBlock){packed, packed_size, lzma_block_unpadded_size(&block)};
    return true;
}

bool
disk_xz_block_measure(DiskXzBlock *out_block, size_t raw_size)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1] = {{.id = LZMA_VLI_UNKNOWN}};
    lzma_block block = {.version = 1, .check = LZMA_CHECK_CRC64, .filters = filters};
    bool is_ok;

    if (out_block->size == 0 || out_block->data[0] == 0)
        return false;
    block.header_size = lzma_block_header_size_decode(out_block->data[0]);
    if (block.header_size + CHECK_BYTES > out_block->size ||
        lzma_block_header_decode(&block, NULL, out_block->data) != LZMA_OK)
        return false;
    is_ok = block.compressed_size != LZMA_VLI_UNKNOWN && block.uncompressed_size == raw_size &&
            lzma_block_total_size(&block) == out_block->size;
    if (is_ok)
        out_block->unpadded_size = lzma_block_unpadded_size(&block);
    lzma_filters_free(filters, NULL);
    return is_ok;
}
