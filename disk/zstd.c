// SPDX-License-Identifier: Apache-2.0
#include "disk/zstd.h"

#include <zstd.h>

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
