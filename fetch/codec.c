// SPDX-License-Identifier: Apache-2.0
#include "fetch/codec.h"

#include <string.h>

#define MAX_RATE (G_GUINT64_CONSTANT(1) << 36) /* 64 GiB/s: products with a block's size fit into 64 bits */

bool
codec_wish_parse(const char *text, CodecWish *out_wish, GError **error)
{
    static const char *const NAMES[] = {"auto", "xz", "zstd"};

    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        if (strcmp(text, NAMES[i]) == 0) {
            *out_wish = (CodecWish)i;
            return true;
        }
    }
    return error_set_code(error, BASE_ERROR_USAGE, "--codec: '%s' is none of auto, xz and zstd", text);
}

uint64_t
codec_xz_rate(const CodecFacts *facts)
{
    double rate;

    if (facts->xz_cpu_us == 0)
        return 0;
    rate = (double)facts->xz_bytes * 1e6 / (double)facts->xz_cpu_us * facts->cores;
    return (uint64_t)MIN(rate, (double)MAX_RATE) + 1;
}

bool
codec_is_known(const CodecFacts *facts)
{
    return facts->wire_rate > 0 && facts->xz_cpu_us > 0;
}

DiskCodec
codec_choose(const CodecFacts *facts, uint32_t xz_size, uint32_t zstd_size)
{
    uint64_t wire = MIN(facts->wire_rate, MAX_RATE), xz = MIN(codec_xz_rate(facts), wire);

    if (!codec_is_known(facts))
        return DISK_ZSTD;
    /* xz_size / min(wire, xz) <= zstd_size / wire */
    return xz_size * wire <= zstd_size * xz ? DISK_XZ : DISK_ZSTD;
}
