// SPDX-License-Identifier: Apache-2.0
/* Making a delta: a join of image and base over the digests of their 4 KiB pieces, wherever they lie. File systems put
 * files on such borders, so this finds what moved as well as what stayed, and needs no rolling hash. */
#include "base/digest.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "disk/delta.h"
#include "disk/sparse.h"
#include "disk/xz.h"
#include "disk/zstd.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES (1u << 20)
#define MAP_LEVEL 18
#define XZ_GAIN 20u          /* zstd unpacks ten times as fast: xz has to save one byte in so many */
#define PIECES_PER_THREAD 2u /* packed between two writes: what memory holds */

/* ---- the plan ---- */

typedef struct {
    DiskDelta *delta;
    const GArray *base; /* (element-type DiskGrain) by position */
    guint *by_digest;   /* numbers of base grains, by digest, then position */
    guint next;         /* base grain that would go on the present copy; base->len: none */
    uint64_t at, literals;
} Plan;

static const DiskGrain *
base_at(const Plan *plan, guint i)
{
    return &g_array_index(plan->base, DiskGrain, i);
}

static int
compare_grains(const void *a, const void *b, void *base)
{
    const DiskGrain *grains = base;
    guint first = *(const guint *)a, second = *(const guint *)b;
    int order = memcmp(grains[first].digest, grains[second].digest, DISK_GRAIN_DIGEST_BYTES);

    return order != 0 ? order : (first > second) - (first < second);
}

/* lookup: the number of the first base grain with @digest; base->len where there is none. */
static guint
lookup(const Plan *plan, const uint8_t *digest)
{
    guint low = 0, high = plan->base->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (memcmp(base_at(plan, plan->by_digest[middle])->digest, digest, DISK_GRAIN_DIGEST_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < plan->base->len &&
        memcmp(base_at(plan, plan->by_digest[low])->digest, digest, DISK_GRAIN_DIGEST_BYTES) == 0)
        return plan->by_digest[low];
    return plan->base->len;
}

static void
add_run(Plan *plan, DiskDeltaKind kind, uint64_t from, uint64_t n)
{
    GArray *runs = plan->delta->runs;
    DiskDeltaRun *last = runs->len > 0 ? &g_array_index(runs, DiskDeltaRun, runs->len - 1) : NULL;
    DiskDeltaRun run = {.start = plan->at, .n = n, .from = from, .kind = kind};

    plan->at += n;
    if (last != NULL && last->kind == kind && (kind == DISK_DELTA_ZERO || from == last->from + last->n))
        last->n += n;
    else
        g_array_append_val(runs, run);
}

/* A copy goes on where it is, if it can: fewer runs, longer extents. */
static void
add_grain(Plan *plan, const uint8_t *data, size_t size)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    guint found;

    if (disk_sparse_is_zero(data, size)) {
        add_run(plan, DISK_DELTA_ZERO, 0, 1);
        return;
    }
    digest_sha256(data, size, digest);
    found = plan->next;
    if (found >= plan->base->len ||
        memcmp(base_at(plan, found)->digest, digest, DISK_GRAIN_DIGEST_BYTES) != 0)
        found = lookup(plan, digest);
    if (found < plan->base->len) {
        add_run(plan, DISK_DELTA_COPY, base_at(plan, found)->at, 1);
        plan->next = found + 1;
    } else {
        add_run(plan, DISK_DELTA_NEW, plan->literals, 1);
        plan->literals++;
    }
}

static bool
plan_image(Plan *plan, int fd, const char *name, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(BUFFER_BYTES);
    uint64_t size = plan->delta->raw_size, at = 0, start, stop;

    while (disk_sparse_next_data(fd, at, size, &start, &stop)) {
        size_t n;

        start -= start % DISK_GRAIN;
        n = (size_t)MIN(BUFFER_BYTES, size - start);
        if (!interrupt_check(error) || !fd_pread_exact(fd, buffer, n, start, name, error))
            return false;
        if (start > at)
            add_run(plan, DISK_DELTA_ZERO, 0, start / DISK_GRAIN - plan->at);
        for (size_t i = 0; i < n; i += DISK_GRAIN)
            add_grain(plan, buffer + i, MIN(DISK_GRAIN, n - i));
        if (plan->delta->runs->len > DELTA_MAX_RUNS)
            return error_set(error, "%s: too many changes for a delta", name);
        at = start + n;
    }
    if (plan->at * DISK_GRAIN < size)
        add_run(plan, DISK_DELTA_ZERO, 0, (size + DISK_GRAIN - 1) / DISK_GRAIN - plan->at);
    return true;
}

DiskDelta *
disk_delta_plan(int fd, const char *name, const DiskGrains *base, uint64_t *out_new_bytes, GError **error)
{
    g_autoptr(DiskDelta) delta = disk_delta_new();
    g_autofree guint *by_digest = g_new(guint, MAX(base->grains->len, 1));
    Plan plan = {.delta = delta, .base = base->grains, .by_digest = by_digest, .next = base->grains->len};

    if (!fd_size(fd, name, &delta->raw_size, error))
        return NULL;
    delta->base_size = base->size;
    for (guint i = 0; i < base->grains->len; i++)
        by_digest[i] = i;
    g_qsort_with_data(by_digest, (int)base->grains->len, sizeof *by_digest, compare_grains,
                      base->grains->data);
    if (!plan_image(&plan, fd, name, error))
        return NULL;
    *out_new_bytes = delta_literal_bytes(delta);
    return g_steal_pointer(&delta);
}

/* ---- the file ---- */

typedef struct {
    const DiskDelta *delta;
    const GArray *list;
    int fd;
    const char *name;
    guint first; /* number of the piece that is item 0 */
    uint8_t **packed;
    size_t *sizes;
    Progress *progress;
} Packer;

typedef struct {
    const Packer *packer;
    uint8_t *raw;
} Gather;

static bool
gather_part(void *context, size_t at, uint64_t offset, size_t size, GError **error)
{
    Gather *gather = context;

    return fd_pread_exact(gather->packer->fd, gather->raw + at, size, offset, gather->packer->name, error);
}

/* The smaller one of a zstd frame and an .xz block, into @packed. Returns: its size, or 0 with @error set */
static size_t
pack_best(const Packer *packer, const uint8_t *raw, size_t size, uint8_t *packed, GError **error)
{
    g_autofree uint8_t *block = g_malloc(disk_xz_block_bound());
    size_t zstd_size = disk_zstd_pack_block(raw, size, packed, error);
    size_t xz_size = zstd_size > 0 ? disk_xz_block_encode(raw, size, block, packer->name, error) : 0;

    if (xz_size == 0 || xz_size > zstd_size - zstd_size / XZ_GAIN)
        return xz_size == 0 ? 0 : zstd_size;
    memcpy(packed, block, xz_size);
    return xz_size;
}

static bool
pack_piece(size_t item, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    Packer *packer = context;
    guint piece = packer->first + (guint)item;
    size_t size = delta_piece_raw(packer->delta, piece);
    g_autofree uint8_t *raw = g_malloc(size);
    Gather gather = {packer, raw};

    if (!interrupt_check(error) ||
        !delta_each_part(packer->delta, packer->list, piece, gather_part, &gather, error))
        return false;
    packer->packed[item] = g_malloc(disk_zstd_bound(size));
    packer->sizes[item] = pack_best(packer, raw, size, packer->packed[item], error);
    progress_add(packer->progress, size);
    return packer->sizes[item] > 0;
}

typedef struct {
    int fd;
    const char *name;
    uint64_t at;
} Out;

static bool
put(Out *out, const void *data, size_t size, GError **error)
{
    if (!fd_pwrite_all(out->fd, data, size, out->at, out->name, error))
        return false;
    out->at += size;
    return true;
}

static bool
put_pieces(Packer *packer, Out *out, guint n, unsigned threads, GError **error)
{
    guint window = threads * PIECES_PER_THREAD;
    g_autofree uint8_t **packed = g_new0(uint8_t *, window);
    g_autofree size_t *sizes = g_new0(size_t, window);
    bool is_ok = true;

    packer->packed = packed;
    packer->sizes = sizes;
    for (guint done = 0; is_ok && done < n; done += window) {
        guint count = MIN(window, n - done);

        packer->first = done;
        is_ok = pool_run(threads, count, pack_piece, packer, error);
        for (guint i = 0; i < count; i++) {
            DiskDeltaPiece piece = {.offset = out->at, .size = (uint32_t)sizes[i]};

            if (is_ok) {
                g_array_append_val(packer->delta->pieces, piece);
                is_ok = put(out, packed[i], sizes[i], error);
            }
            g_clear_pointer(&packed[i], g_free);
        }
    }
    return is_ok;
}

static void
set_number(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static void
print_header(const DiskDelta *delta, size_t packed, size_t raw, guint n_pieces,
             uint8_t out[DELTA_HEADER_BYTES])
{
    memset(out, 0, DELTA_HEADER_BYTES);
    memcpy(out, DELTA_MAGIC, sizeof DELTA_MAGIC - 1);
    set_number(out + 8, DELTA_VERSION, 2);
    set_number(out + 10, DELTA_ZSTD, 1);
    set_number(out + 12, DISK_GRAIN, 4);
    memcpy(out + 16, delta->base_sha512, DISK_SHA512_BYTES);
    memcpy(out + 80, delta->image_sha512, DISK_SHA512_BYTES);
    set_number(out + 144, delta->base_size, 8);
    set_number(out + 152, delta->raw_size, 8);
    set_number(out + 160, packed, 4);
    set_number(out + 164, raw, 4);
    set_number(out + 168, n_pieces, 4);
}

/* The table's place is known before its content. */
static bool
put_table(const DiskDelta *delta, Out *out, uint64_t at, GError **error)
{
    g_autofree uint8_t *table = g_malloc0(MAX(delta->pieces->len, 1) * 4);

    for (guint i = 0; i < delta->pieces->len; i++)
        set_number(table + (size_t)i * 4, g_array_index(delta->pieces, DiskDeltaPiece, i).size, 4);
    return fd_pwrite_all(out->fd, table, (size_t)delta->pieces->len * 4, at, out->name, error);
}

bool
disk_delta_write(DiskDelta *delta, int fd, const char *name, int out_fd, const char *out_name,
                 unsigned threads, Progress *progress, uint64_t *out_size, char **out_sha512, GError **error)
{
    g_autoptr(GByteArray) map = delta_map_print(delta);
    g_autoptr(GArray) list = delta_list_new(delta);
    g_autofree uint8_t *packed_map = g_malloc(disk_zstd_bound(map->len));
    guint n_pieces = (guint)((delta_literal_bytes(delta) + DISK_DELTA_PIECE - 1) / DISK_DELTA_PIECE);
    Packer packer = {.delta = delta, .list = list, .fd = fd, .name = name, .progress = progress};
    Out out = {.fd = out_fd, .name = out_name};
    uint8_t header[DELTA_HEADER_BYTES];
    size_t packed = 0;
    uint64_t table;

    if (map->len > DELTA_MAX_MAP)
        return error_set(error, "%s: too many changes for a delta", name);
    packed = disk_zstd_pack(map->data, map->len, MAP_LEVEL, packed_map, error);
    if (packed == 0)
        return false;
    print_header(delta, packed, map->len, n_pieces, header);
    table = sizeof header + packed;
    if (!put(&out, header, sizeof header, error) || !put(&out, packed_map, packed, error))
        return false;
    out.at = table + (uint64_t)n_pieces * 4;
    g_array_set_size(delta->pieces, 0);
    if (!put_pieces(&packer, &out, n_pieces, threads, error) || !put_table(delta, &out, table, error))
        return false;
    *out_size = out.at;
    *out_sha512 = digest_file(DIGEST_SHA512, out_fd, out_name, error);
    return *out_sha512 != NULL;
}
