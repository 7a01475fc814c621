// SPDX-License-Identifier: Apache-2.0
/* Reading a delta's file, and making the image from it and a base. */
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "disk/delta.h"
#include "disk/sparse.h"
#include "disk/xz.h"
#include "disk/zstd.h"

#include <string.h>
#include <unistd.h>

/* ---- the head ---- */

typedef struct {
    uint32_t packed_map, map, n_pieces;
} Sizes;

static uint64_t
number(const uint8_t *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

static bool
refuse(GError **error, const char *name, const char *what)
{
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: damaged delta: %s", name, what);
}

static bool
read_header(int fd, const char *name, uint64_t file_size, DiskDelta *delta, Sizes *sizes, GError **error)
{
    uint8_t header[DELTA_HEADER_BYTES];

    if (file_size < sizeof header || file_size > DISK_DELTA_MAX_BYTES)
        return refuse(error, name, "impossible size");
    if (!fd_pread_exact(fd, header, sizeof header, 0, name, error))
        return false;
    if (memcmp(header, DELTA_MAGIC, sizeof DELTA_MAGIC - 1) != 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: not a delta", name);
    if (number(header + 8, 2) != DELTA_VERSION || number(header + 10, 2) != DELTA_ZSTD ||
        number(header + 12, 4) != DISK_GRAIN || number(header + 172, 4) != 0)
        return error_set(error, "%s: a kind of delta that is not known here; a newer virt-depot wrote it",
                         name);
    memcpy(delta->base_sha512, header + 16, DISK_SHA512_BYTES);
    memcpy(delta->image_sha512, header + 80, DISK_SHA512_BYTES);
    delta->base_size = number(header + 144, 8);
    delta->raw_size = number(header + 152, 8);
    *sizes = (Sizes){(uint32_t)number(header + 160, 4), (uint32_t)number(header + 164, 4),
                     (uint32_t)number(header + 168, 4)};
    if (delta->base_size > INT64_MAX || delta->raw_size > INT64_MAX || sizes->map > DELTA_MAX_MAP ||
        sizes->packed_map > DELTA_MAX_MAP ||
        sizeof header + (uint64_t)sizes->packed_map + (uint64_t)sizes->n_pieces * 4 > file_size)
        return refuse(error, name, "impossible sizes");
    return true;
}

static bool
read_map(int fd, const char *name, const Sizes *sizes, DiskDelta *delta, GError **error)
{
    g_autofree uint8_t *packed = g_malloc((gsize)sizes->packed_map + 1);
    g_autofree uint8_t *map = g_malloc((gsize)sizes->map + 1);

    return fd_pread_exact(fd, packed, sizes->packed_map, DELTA_HEADER_BYTES, name, error) &&
           disk_zstd_unpack(packed, sizes->packed_map, map, sizes->map, name, error) &&
           delta_map_parse(map, sizes->map, delta, name, error);
}

static bool
read_table(int fd, const char *name, uint64_t file_size, const Sizes *sizes, DiskDelta *delta, GError **error)
{
    g_autofree uint8_t *table = g_malloc((gsize)sizes->n_pieces * 4 + 1);
    uint64_t at = DELTA_HEADER_BYTES + (uint64_t)sizes->packed_map;

    if ((delta_literal_bytes(delta) + DISK_DELTA_PIECE - 1) / DISK_DELTA_PIECE != sizes->n_pieces)
        return refuse(error, name, "its pieces do not hold what its map needs");
    if (!fd_pread_exact(fd, table, (size_t)sizes->n_pieces * 4, at, name, error))
        return false;
    at += (uint64_t)sizes->n_pieces * 4;
    for (uint32_t i = 0; i < sizes->n_pieces; i++) {
        DiskDeltaPiece piece = {.offset = at, .size = (uint32_t)number(table + (size_t)i * 4, 4)};

        if (piece.size > disk_zstd_bound(DISK_DELTA_PIECE))
            return refuse(error, name, "impossible size of a piece");
        g_array_append_val(delta->pieces, piece);
        at += piece.size;
    }
    return at == file_size || refuse(error, name, "its pieces do not add up to the file");
}

DiskDelta *
disk_delta_read(int fd, const char *name, GError **error)
{
    g_autoptr(DiskDelta) delta = disk_delta_new();
    uint64_t file_size;
    Sizes sizes = {0};

    if (!fd_size(fd, name, &file_size, error) || !read_header(fd, name, file_size, delta, &sizes, error) ||
        !read_map(fd, name, &sizes, delta, error) || !read_table(fd, name, file_size, &sizes, delta, error))
        return NULL;
    return g_steal_pointer(&delta);
}

/* ---- the image ---- */

typedef struct {
    const DiskDelta *delta;
    const GArray *list;
    int fd, base_fd, out_fd;
    const char *name, *base_name, *out_name;
    Progress *progress;
} Apply;

static bool
copy_runs(const Apply *apply, GError **error)
{
    for (guint i = 0; i < apply->delta->runs->len; i++) {
        const DiskDeltaRun *run = &g_array_index(apply->delta->runs, DiskDeltaRun, i);
        uint64_t size = delta_run_bytes(apply->delta, run);

        if (run->kind == DISK_DELTA_ZERO)
            progress_add(apply->progress, size);
        else if (run->kind == DISK_DELTA_COPY &&
                 !disk_copy_range(apply->base_fd, apply->base_name, run->from * DISK_GRAIN, apply->out_fd,
                                  apply->out_name, run->start * DISK_GRAIN, size, apply->progress, error))
            return false;
    }
    return true;
}

typedef struct {
    const Apply *apply;
    const uint8_t *raw;
} Scatter;

static bool
scatter_part(void *context, size_t at, uint64_t offset, size_t size, GError **error)
{
    const Scatter *scatter = context;

    return fd_pwrite_all(scatter->apply->out_fd, scatter->raw + at, size, offset, scatter->apply->out_name,
                         error);
}

/* The first bytes tell: in the header of an .xz block they would be reserved flags. */
static bool
unpack_best(const uint8_t *packed, size_t packed_size, uint8_t *raw, size_t size, const char *name,
            GError **error)
{
    g_autoptr(DiskXzReader) reader = NULL;
    size_t unpacked = 0, more = 0;
    bool is_end = false;

    if (disk_zstd_is_frame(packed, packed_size))
        return disk_zstd_unpack(packed, packed_size, raw, size, name, error);
    if (packed_size == 0)
        return refuse(error, name, "a piece is empty");
    reader = disk_xz_reader_new(packed, packed_size, size, DISK_XZ_OWN_CHECK, name, error);
    if (reader == NULL || !disk_xz_read(reader, raw, size, name, &unpacked, &is_end, error))
        return false;
    if (!is_end && !disk_xz_read(reader, raw, 0, name, &more, &is_end, error)) /* its check */
        return false;
    return (is_end && unpacked == size) || refuse(error, name, "a piece is cut off");
}

static bool
unpack_piece(size_t item, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    const Apply *apply = context;
    const DiskDeltaPiece *piece = &g_array_index(apply->delta->pieces, DiskDeltaPiece, item);
    size_t size = delta_piece_raw(apply->delta, (guint)item);
    g_autofree uint8_t *packed = g_malloc((gsize)piece->size + 1);
    g_autofree uint8_t *raw = g_malloc(size);
    Scatter scatter = {apply, raw};

    if (!interrupt_check(error) ||
        !fd_pread_exact(apply->fd, packed, piece->size, piece->offset, apply->name, error) ||
        !unpack_best(packed, piece->size, raw, size, apply->name, error) ||
        !delta_each_part(apply->delta, apply->list, (guint)item, scatter_part, &scatter, error))
        return false;
    progress_add(apply->progress, size);
    return true;
}

bool
disk_delta_apply(const DiskDelta *delta, int fd, const char *name, int base_fd, const char *base_name,
                 int out_fd, const char *out_name, unsigned threads, Progress *progress, GError **error)
{
    g_autoptr(GArray) list = delta_list_new(delta);
    Apply apply = {.delta = delta,
                   .list = list,
                   .fd = fd,
                   .base_fd = base_fd,
                   .out_fd = out_fd,
                   .name = name,
                   .base_name = base_name,
                   .out_name = out_name,
                   .progress = progress};
    uint64_t base_size;

    if (!fd_size(base_fd, base_name, &base_size, error))
        return false;
    if (base_size != delta->base_size)
        return error_set(
            error, "%s: has %" G_GUINT64_FORMAT " bytes, and the delta is for a base of %" G_GUINT64_FORMAT,
            base_name, base_size, delta->base_size);
    if (ftruncate(out_fd, (off_t)delta->raw_size) < 0)
        return error_set_errno(error, "%s: cannot set its size", out_name);
    return copy_runs(&apply, error) && pool_run(threads, delta->pieces->len, unpack_piece, &apply, error);
}
