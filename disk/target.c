// SPDX-License-Identifier: Apache-2.0
/* What a raw image is written to: a raw file, a qcow2 file by its layout, a block device. */
#include "disk/target.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "disk/header.h"
#include "disk/qcow2_layout.h"
#include "disk/sparse.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICE_BLOCK 4096u        /* of no device is the sector larger */
#define ZERO_PIECE (256ull << 20) /* between two looks at Ctrl-C */
#define COPY_PIECE_BYTES (1u << 20)

/* ---- places ---- */

/* As disk_layout_next(); in everything but qcow2 each byte has the place that it has in the image. */
static bool
next_place(const DiskTarget *target, uint64_t from, uint64_t end, uint64_t *out_start, uint64_t *out_end,
           uint64_t *out_place)
{
    if (target->layout != NULL)
        return disk_layout_next(target->layout, from, end, out_start, out_end, out_place);
    if (from >= end)
        return false;
    *out_start = *out_place = from;
    *out_end = end;
    return true;
}

bool
disk_target_write(const DiskTarget *target, const uint8_t *data, size_t size, uint64_t at, GError **error)
{
    uint64_t done = at, end = at + size, start, stop, place;

    for (; next_place(target, done, end, &start, &stop, &place); done = stop) {
        g_assert(start == done);
        if (!fd_pwrite_all(target->fd, data + (start - at), stop - start, place, target->name, error))
            return false;
    }
    g_assert(done == end);
    return true;
}

bool
disk_target_read(const DiskTarget *target, uint8_t *data, size_t size, uint64_t at, GError **error)
{
    uint64_t done = at, end = at + size, start, stop, place;
    bool is_zero;

    for (; next_place(target, done, end, &start, &stop, &place); done = stop) {
        memset(data + (done - at), 0, start - done);
        if (!disk_sparse_read(target->fd, data + (start - at), stop - start, place, target->name, &is_zero,
                              error))
            return false;
    }
    memset(data + (done - at), 0, end - done);
    return true;
}

bool
disk_target_is_hole(const DiskTarget *target, uint64_t at, uint64_t end)
{
    uint64_t start, stop, place, unused;

    for (; next_place(target, at, end, &start, &stop, &place); at = stop)
        if (disk_sparse_next_data(target->fd, place, place + (stop - start), &unused, &unused))
            return false;
    return true;
}

/* ---- zeroes ---- */

static bool
zero_device(const DiskTarget *target, uint64_t at, uint64_t end, GError **error)
{
    static const uint8_t ZEROES[2 * DEVICE_BLOCK];
    uint64_t first = (at + DEVICE_BLOCK - 1) / DEVICE_BLOCK * DEVICE_BLOCK,
             last = end / DEVICE_BLOCK * DEVICE_BLOCK;

    if (first >= last)
        return fd_pwrite_all(target->fd, ZEROES, end - at, at, target->name, error);
    for (uint64_t done = first; done < last; done += MIN(last - done, ZERO_PIECE)) {
        uint64_t range[] = {done, MIN(last - done, ZERO_PIECE)};

        if (!interrupt_check(error))
            return false;
        if (ioctl(target->fd, BLKZEROOUT, range) < 0)
            return error_set_errno(error, "%s: cannot write zeroes", target->name);
    }
    return fd_pwrite_all(target->fd, ZEROES, first - at, at, target->name, error) &&
           fd_pwrite_all(target->fd, ZEROES, end - last, last, target->name, error);
}

bool
disk_target_zero(const DiskTarget *target, uint64_t at, uint64_t end, GError **error)
{
    uint64_t start, stop, place;

    if (target->is_device)
        return at >= end || zero_device(target, at, end, error);
    for (; next_place(target, at, end, &start, &stop, &place); at = stop)
        if (fallocate(target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)place,
                      (off_t)(stop - start)) < 0)
            return error_set_errno(error, "%s: cannot make a hole", target->name);
    return true;
}

/* ---- the whole ---- */

DiskLayout *
disk_layout_of_file(int fd, const char *name, GError **error)
{
    DiskLayout *layout = NULL;
    uint64_t size, at = 0, start;

    if (fd_size(fd, name, &size, error))
        layout = disk_layout_new(size, name, error);
    if (layout == NULL)
        return NULL;
    while (disk_sparse_next_data(fd, at, size, &start, &at))
        disk_layout_add(layout, start, at);
    disk_layout_close(layout);
    return layout;
}

static bool
set_size(const DiskTarget *target, uint64_t raw_size, GError **error)
{
    uint64_t size = target->layout != NULL ? disk_layout_file_size(target->layout) : raw_size;

    return target->is_device || ftruncate(target->fd, (off_t)size) == 0 ||
           error_set_errno(error, "%s: cannot set its size", target->name);
}

bool
disk_target_prepare(const DiskTarget *target, uint64_t raw_size, bool *out_was_empty, GError **error)
{
    uint64_t before = 0;

    if (!fd_size(target->fd, target->name, &before, error) || !set_size(target, raw_size, error))
        return false;
    *out_was_empty = before == 0;
    return true;
}

bool
disk_target_begin_anew(const DiskTarget *target, uint64_t raw_size, GError **error)
{
    if (target->is_device)
        return disk_target_zero(target, 0, raw_size, error);
    if (ftruncate(target->fd, 0) < 0)
        return error_set_errno(error, "%s: cannot begin anew", target->name);
    return set_size(target, raw_size, error);
}

void
disk_target_start_sync(const DiskTarget *target, uint64_t at, uint64_t end)
{
    uint64_t start, stop, place;

    for (; next_place(target, at, end, &start, &stop, &place); at = stop)
        sync_file_range(target->fd, (off_t)place, (off_t)(stop - start), SYNC_FILE_RANGE_WRITE);
}

/* What the layout has no place for is zero in the image, as whoever made the layout saw it. */
static bool
fill_range(const DiskTarget *target, int in_fd, const char *in_name, uint64_t at, uint64_t end,
           Progress *progress, GError **error)
{
    uint64_t start, stop, place;

    for (; next_place(target, at, end, &start, &stop, &place); at = stop)
        if (!disk_copy_range(in_fd, in_name, start, target->fd, target->name, place, stop - start, progress,
                             error))
            return false;
    return true;
}

static bool
fill_device(const DiskTarget *target, int in_fd, const char *in_name, uint64_t at, uint64_t end,
            Progress *progress, GError **error)
{
    g_autofree uint8_t *data = g_malloc(COPY_PIECE_BYTES);

    for (; at < end; at += MIN(end - at, COPY_PIECE_BYTES)) {
        size_t n = MIN(end - at, COPY_PIECE_BYTES);

        if (!interrupt_check(error) || !fd_pread_exact(in_fd, data, n, at, in_name, error) ||
            !fd_pwrite_all(target->fd, data, n, at, target->name, error))
            return false;
        disk_target_start_sync(target, at, at + n);
        progress_add(progress, n);
    }
    return true;
}

bool
disk_target_fill(const DiskTarget *target, int in_fd, const char *in_name, uint64_t raw_size,
                 Progress *progress, GError **error)
{
    uint64_t at = 0, start, stop;

    for (; disk_sparse_next_data(in_fd, at, raw_size, &start, &stop); at = stop) {
        if (target->is_device && !disk_target_zero(target, at, start, error))
            return false;
        if (!(target->is_device ? fill_device : fill_range)(target, in_fd, in_name, start, stop, progress,
                                                            error))
            return false;
    }
    return !target->is_device || disk_target_zero(target, at, raw_size, error);
}

static bool
put_in_file(void *context, const void *data, size_t size, uint64_t offset, GError **error)
{
    const DiskTarget *target = context;

    return interrupt_check(error) && fd_pwrite_all(target->fd, data, size, offset, target->name, error);
}

static bool
sync_target(const DiskTarget *target, GError **error)
{
    return fsync(target->fd) == 0 || error_set_errno(error, "%s: cannot sync", target->name);
}

bool
disk_target_finish(const DiskTarget *target, GError **error)
{
    g_autofree uint8_t *header = NULL;

    if (target->layout == NULL)
        return sync_target(target, error);
    if (!disk_layout_put_tables(target->layout, put_in_file, (void *)target, error) ||
        !sync_target(target, error))
        return false;
    header = disk_layout_header(target->layout);
    return put_in_file((void *)target, header, DISK_LAYOUT_CLUSTER, 0, error) && sync_target(target, error);
}

bool
disk_target_probe(const DiskTarget *target, uint64_t raw_size, const char *name, DiskInfo *out_info,
                  GError **error)
{
    g_autofree uint8_t *data = g_malloc(DISK_HEADER_BYTES);
    size_t size = MIN(raw_size, DISK_HEADER_BYTES);

    return disk_target_read(target, data, size, 0, error) &&
           disk_header_parse(data, size, raw_size, name, out_info, error);
}
