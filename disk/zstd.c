// SPDX-License-Identifier: Apache-2.0
#include "disk/zstd.h"

#include "base/interrupt.h"

#include <string.h>
#include <zstd.h>

#define BLOCK_LEVEL 19          /* 22 saves a thousandth */
#define WINDOW_LOG 23           /* 24 saves a thousandth, and takes another 100 MiB to pack */
#define STEP_BYTES (256u << 10) /* packed between two looks at Ctrl-C: a tenth of a second or so */

size_t
disk_zstd_bound(size_t size)
{
    return ZSTD_compressBound(size);
}

size_t
disk_zstd_pack(const uint8_t *raw, size_t size, int level, uint8_t *packed, GError **error)
{
    size_t result = ZSTD_compress(packed, ZSTD_compressBound(size), raw, size, level);

    if (!ZSTD_isError(result))
        return result;
    error_set(error, "cannot compress: %s", ZSTD_getErrorName(result));
    return 0;
}

/* Returns: 0 with @error set */
static size_t
pack_steps(ZSTD_CCtx *context, const uint8_t *raw, size_t size, uint8_t *packed, GError **error)
{
    ZSTD_inBuffer in = {.src = raw};
    ZSTD_outBuffer out = {.dst = packed, .size = ZSTD_compressBound(size)};
    size_t left;

    do {
        if (!interrupt_check(error))
            return 0;
        in.size = MIN(in.size + STEP_BYTES, size);
        left = ZSTD_compressStream2(context, &out, &in, in.size < size ? ZSTD_e_continue : ZSTD_e_end);
        if (ZSTD_isError(left)) {
            error_set(error, "cannot compress: %s", ZSTD_getErrorName(left));
            return 0;
        }
    } while (in.size < size || left > 0);
    return out.pos;
}

size_t
disk_zstd_pack_block(const uint8_t *raw, size_t size, uint8_t *packed, GError **error)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t result;

    g_assert(context != NULL); /* fails for want of memory only */
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, BLOCK_LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, WINDOW_LOG);
    ZSTD_CCtx_setPledgedSrcSize(context, size);
    result = pack_steps(context, raw, size, packed, error);
    ZSTD_freeCCtx(context);
    return result;
}

bool
disk_zstd_states(const uint8_t *packed, size_t packed_size, size_t raw_size)
{
    return ZSTD_getFrameContentSize(packed, packed_size) == raw_size;
}

bool
disk_zstd_is_frame(const uint8_t *packed, size_t size)
{
    uint32_t magic = ZSTD_MAGICNUMBER;
    uint8_t bytes[sizeof magic];

    for (unsigned i = 0; i < sizeof bytes; i++) /* little-endian, whatever this machine is */
        bytes[i] = (uint8_t)(magic >> (8 * i));
    return size >= sizeof bytes && memcmp(packed, bytes, sizeof bytes) == 0;
}

bool
disk_zstd_unpack(const uint8_t *packed, size_t packed_size, uint8_t *raw, size_t raw_size, const char *name,
                 GError **error)
{
    size_t frame = ZSTD_findFrameCompressedSize(packed, packed_size);
    size_t result;

    /* ZSTD_decompress() takes frame after frame; one spelling for one meaning is enough. */
    if (ZSTD_isError(frame) || frame != packed_size)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: damaged: not one zstd frame", name);
    result = ZSTD_decompress(raw, raw_size, packed, packed_size);
    if (ZSTD_isError(result) || result != raw_size)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: damaged: %s", name,
                              ZSTD_isError(result) ? ZSTD_getErrorName(result) : "too short");
    return true;
}
