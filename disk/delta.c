// SPDX-License-Identifier: Apache-2.0
/*
 * A delta's bytes, and its map. Pure.
 *
 *   0  8  magic: 0x89 "vdd" CR LF 0x1a LF
 *   8  2  version, 1
 *  10  1  compression: 2 is zstd
 *  11  1  zero
 *  12  4  grain, 4096
 *  16 64  SHA-512 of the base's published file: which base this delta is for
 *  80 64  SHA-512 of the image's published file
 * 144  8  size of the base, unpacked
 * 152  8  size of the image, unpacked
 * 160  4  bytes of the packed map
 * 164  4  bytes of the map
 * 168  4  number of pieces
 * 172  4  zero
 * 176     the map, one zstd frame; the packed sizes of the pieces (4 each); the pieces, each one zstd frame or, where that is
 *         smaller, one .xz block with a CRC64
 *
 * The map: for each run its length in grains, times 4, plus its kind (0 zeroes, 1 from the base, 2 new) as LEB128 in the
 * shortest form; for a run from the base also where, as the signed distance (zigzag) from the end of the one before. New
 * data are what the pieces hold, in the order of the image, DISK_DELTA_PIECE bytes in each but the last.
 */
#include "disk/delta.h"

#include <string.h>

#define MAX_VARINT_BYTES 10u

DiskDelta *
disk_delta_new(void)
{
    DiskDelta *delta = g_new0(DiskDelta, 1);

    delta->runs = g_array_new(FALSE, FALSE, sizeof(DiskDeltaRun));
    delta->pieces = g_array_new(FALSE, FALSE, sizeof(DiskDeltaPiece));
    return delta;
}

void
disk_delta_free(DiskDelta *delta)
{
    if (delta == NULL)
        return;
    g_array_unref(delta->runs);
    g_array_unref(delta->pieces);
    g_free(delta);
}

static const DiskDeltaRun *
run_at(const DiskDelta *delta, guint i)
{
    return &g_array_index(delta->runs, DiskDeltaRun, i);
}

uint64_t
delta_literal_bytes(const DiskDelta *delta)
{
    uint64_t grains = 0;
    bool has_tail = false;

    for (guint i = delta->runs->len; i > 0 && grains == 0; i--) {
        const DiskDeltaRun *run = run_at(delta, i - 1);

        if (run->kind == DISK_DELTA_NEW) {
            grains = run->from + run->n;
            has_tail = i == delta->runs->len && delta->raw_size % DISK_GRAIN != 0;
        }
    }
    return grains * DISK_GRAIN - (has_tail ? DISK_GRAIN - delta->raw_size % DISK_GRAIN : 0);
}

size_t
delta_piece_raw(const DiskDelta *delta, guint i)
{
    uint64_t left = delta_literal_bytes(delta) - (uint64_t)i * DISK_DELTA_PIECE;

    return (size_t)MIN(left, DISK_DELTA_PIECE);
}

GArray *
delta_list_new(const DiskDelta *delta)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint));

    for (guint i = 0; i < delta->runs->len; i++)
        if (run_at(delta, i)->kind == DISK_DELTA_NEW)
            g_array_append_val(list, i);
    return list;
}

uint64_t
delta_run_bytes(const DiskDelta *delta, const DiskDeltaRun *run)
{
    return MIN(run->n * DISK_GRAIN, delta->raw_size - run->start * DISK_GRAIN);
}

bool
delta_each_part(const DiskDelta *delta, const GArray *list, guint piece, DeltaPart func, void *context,
                GError **error)
{
    uint64_t at = (uint64_t)piece * DISK_DELTA_PIECE, end = at + delta_piece_raw(delta, piece), done = 0;
    guint low = 0, high = list->len;

    while (low + 1 < high) { /* the last run that starts at or before @at */
        guint middle = low + (high - low) / 2;

        if (run_at(delta, g_array_index(list, guint, middle))->from * DISK_GRAIN <= at)
            low = middle;
        else
            high = middle;
    }
    for (; at < end; low++) {
        const DiskDeltaRun *run = run_at(delta, g_array_index(list, guint, low));
        uint64_t skip = at - run->from * DISK_GRAIN;
        uint64_t size = MIN(end - at, delta_run_bytes(delta, run) - skip);

        if (!func(context, (size_t)done, run->start * DISK_GRAIN + skip, (size_t)size, error))
            return false;
        done += size;
        at += size;
    }
    return true;
}

/* ---- the map ---- */

static void
put_varint(GByteArray *out, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

        g_byte_array_append(out, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

GByteArray *
delta_map_print(const DiskDelta *delta)
{
    GByteArray *out = g_byte_array_new();
    uint64_t expected = 0;

    for (guint i = 0; i < delta->runs->len; i++) {
        const DiskDeltaRun *run = run_at(delta, i);

        put_varint(out, run->n << 2 | run->kind);
        if (run->kind == DISK_DELTA_COPY) {
            int64_t distance = (int64_t)(run->from - expected);

            put_varint(out, (uint64_t)distance << 1 ^ (uint64_t)(distance >> 63));
            expected = run->from + run->n;
        }
    }
    return out;
}

typedef struct {
    const uint8_t *at;
    size_t left;
} Reader;

static bool
take_varint(Reader *reader, uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < MAX_VARINT_BYTES - 1 && reader->left > 0; i++) { /* 63 bits */
        uint64_t byte = *reader->at++;

        reader->left--;
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out_value = value;
            return byte != 0 || i == 0; /* else there is a shorter form */
        }
    }
    return false;
}

static bool
damaged(GError **error, const char *name, const char *what)
{
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: damaged delta: %s", name, what);
}

static bool
take_run(Reader *reader, DiskDeltaRun *run, uint64_t *expected)
{
    uint64_t head, distance;

    if (!take_varint(reader, &head) || (head & 3) > DISK_DELTA_NEW || head >> 2 == 0)
        return false;
    run->kind = (DiskDeltaKind)(head & 3);
    run->n = head >> 2;
    if (run->kind != DISK_DELTA_COPY)
        return true;
    if (!take_varint(reader, &distance))
        return false;
    run->from = *expected + (distance >> 1 ^ (0 - (distance & 1)));
    *expected = run->from + run->n;
    return true;
}

bool
delta_map_parse(const uint8_t *map, size_t size, DiskDelta *delta, const char *name, GError **error)
{
    uint64_t grains = delta->raw_size / DISK_GRAIN + (delta->raw_size % DISK_GRAIN != 0);
    uint64_t at = 0, literal = 0, expected = 0;
    Reader reader = {map, size};

    while (reader.left > 0) {
        DiskDeltaRun run = {.start = at};

        if (delta->runs->len == DELTA_MAX_RUNS)
            return damaged(error, name, "more runs than the limit allows");
        if (!take_run(&reader, &run, &expected))
            return damaged(error, name, "an impossible run");
        if (run.n > grains - at)
            return damaged(error, name, "its map is longer than the image");
        if (run.kind == DISK_DELTA_COPY &&
            (run.from > delta->base_size / DISK_GRAIN ||
             delta_run_bytes(delta, &run) > delta->base_size - run.from * DISK_GRAIN))
            return damaged(error, name, "it copies from beyond the base");
        if (run.kind == DISK_DELTA_NEW) {
            run.from = literal;
            literal += run.n;
        }
        at += run.n;
        g_array_append_val(delta->runs, run);
    }
    return at == grains || damaged(error, name, "its map is shorter than the image");
}
