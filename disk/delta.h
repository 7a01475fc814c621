// SPDX-License-Identifier: Apache-2.0
/* What the files disk/delta_*.c share. Private to disk/. */
#pragma once

#include "disk/disk.h"

/* The first bytes of a delta, before its map; delta.c describes them. */
#define DELTA_HEADER_BYTES 176u
#define DELTA_MAGIC "\x89vdd\r\n\x1a\n"
#define DELTA_VERSION 1u
#define DELTA_ZSTD 2u
#define DELTA_MAX_MAP (64u << 20) /* raw bytes: some 3 per run */
#define DELTA_MAX_RUNS (8u << 20) /* 192 MiB of memory */

/** delta_map_print: the map of @delta's runs as it is stored before it is packed. */
GByteArray *delta_map_print(const DiskDelta *delta);

/** delta_map_parse: the runs into @delta, whose sizes are known already. Pure. */
bool delta_map_parse(const uint8_t *map, size_t size, DiskDelta *delta, const char *name, GError **error);

/** delta_literal_bytes: how many raw bytes all pieces have together. */
uint64_t delta_literal_bytes(const DiskDelta *delta);

/** delta_piece_raw: the raw size of piece number @i. */
size_t delta_piece_raw(const DiskDelta *delta, guint i);

/** delta_run_bytes: of the image; the last run may end in a short grain. */
uint64_t delta_run_bytes(const DiskDelta *delta, const DiskDeltaRun *run);

/** delta_list_new: (transfer full) (element-type guint) the numbers of the runs of new data. */
GArray *delta_list_new(const DiskDelta *delta);

/** DeltaPart: @size bytes at @at of a piece belong at @offset of the image. */
typedef bool (*DeltaPart)(void *context, size_t at, uint64_t offset, size_t size, GError **error);

/** delta_each_part: call @func for each part of @piece, in order. @list: delta_list_new() of it */
bool delta_each_part(const DiskDelta *delta, const GArray *list, guint piece, DeltaPart func, void *context,
                     GError **error);
