// SPDX-License-Identifier: Apache-2.0
/* Reads and writes that respect holes, for the .xz files and copy.c. */
#include "disk/sparse.h"

#include "base/fd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool
disk_sparse_is_zero(const uint8_t *data, size_t size)
{
    /* memcmp with itself shifted by one: libc's vector code does the work. */
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

bool
disk_sparse_next_data(int fd, uint64_t from, uint64_t end, uint64_t *out_start, uint64_t *out_end)
{
    off_t start, stop;

    if (from >= end)
        return false;
    start = lseek(fd, (off_t)from, SEEK_DATA);
    if (start < 0 && errno == ENXIO)
        return false;
    if (start < 0)
        start = (off_t)from;
    if ((uint64_t)start >= end)
        return false;
    stop = lseek(fd, start, SEEK_HOLE);
    *out_start = (uint64_t)start;
    *out_end = stop <= start || (uint64_t)stop > end ? end : (uint64_t)stop;
    return true;
}

bool
disk_sparse_read(int fd, uint8_t *data, size_t size, uint64_t offset, const char *name, bool *out_is_zero,
                 GError **error)
{
    uint64_t at = offset, end = offset + size, start, stop;
    bool is_zero = true;

    memset(data, 0, size);
    while (disk_sparse_next_data(fd, at, end, &start, &stop)) {
        if (!fd_pread_exact(fd, data + (start - offset), stop - start, start, name, error))
            return false;
        is_zero = is_zero && disk_sparse_is_zero(data + (start - offset), stop - start);
        at = stop;
    }
    *out_is_zero = is_zero;
    return true;
}

bool
disk_sparse_write_mapped(int fd, const uint8_t *data, size_t size, uint64_t offset, atomic_uchar *map,
                         const char *name, GError **error)
{
    size_t at = 0, run = 0; /* data[run .. at) is not yet written and has no all-zero piece */

    while (at < size) {
        uint64_t grain = (offset + at) / DISK_GRAIN;
        size_t piece = MIN(DISK_GRAIN - (offset + at) % DISK_GRAIN, size - at);

        if (disk_sparse_is_zero(data + at, piece)) {
            if (!fd_pwrite_all(fd, data + run, at - run, offset + run, name, error))
                return false;
            run = at + piece;
        } else if (map != NULL) {
            atomic_fetch_or(&map[grain / 8], (unsigned char)(1u << grain % 8));
        }
        at += piece;
    }
    return fd_pwrite_all(fd, data + run, at - run, offset + run, name, error);
}

bool
disk_sparse_write(int fd, const uint8_t *data, size_t size, uint64_t offset, const char *name, GError **error)
{
    return disk_sparse_write_mapped(fd, data, size, offset, NULL, name, error);
}
