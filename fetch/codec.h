// SPDX-License-Identifier: Apache-2.0
/* Which of an image's two codecs brings a block sooner. Pure. */
#pragma once

#include "disk/disk.h"

typedef enum { CODEC_AUTO, CODEC_XZ, CODEC_ZSTD } CodecWish;

/** codec_wish_parse: "auto", "xz", "zstd"; else BASE_ERROR_USAGE. */
bool codec_wish_parse(const char *text, CodecWish *out_wish, GError **error);

/** CodecFacts: what was measured in this pull. */
typedef struct {
    uint64_t wire_rate; /* bytes per second; 0: not known yet */
    uint64_t xz_bytes;  /* packed, that were unpacked */
    uint64_t xz_cpu_us; /* in which of one core's time */
    unsigned cores;
} CodecFacts;

/** codec_xz_rate: packed bytes of xz per second that all cores unpack; 0: not known yet. */
uint64_t codec_xz_rate(const CodecFacts *facts);

/** codec_is_known: whether codec_choose() has what it needs. */
bool codec_is_known(const CodecFacts *facts);

/**
 * codec_choose: for a block of those packed sizes. zstd's unpacking never counts, and it is what is taken as long as nothing is
 * known: then a slow link costs the few percent by which it is larger, where xz could cost a multiple.
 */
DiskCodec codec_choose(const CodecFacts *facts, uint32_t xz_size, uint32_t zstd_size);
