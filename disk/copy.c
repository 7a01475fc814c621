// SPDX-License-Identifier: Apache-2.0
/* Whole copies of images: a reflink where the file system shares blocks, else data extents only. */
#include "base/fd.h"
#include "base/interrupt.h"
#include "disk/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Between two looks at Ctrl-C, and for the progress line. */
#define COPY_PIECE_BYTES (32u << 20)
#define COPY_BUFFER_BYTES (1u << 20)

/* A file that holds one block and never has a name, so that kill -9 leaves none; -1 where that cannot be: the file
 * systems that reflink on local disks all have O_TMPFILE. */
static int
scratch_file(const char *dir)
{
    static const char block[DISK_GRAIN] = "x";
    g_auto(Fd) fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd >= 0 && fd_write_all(fd, block, sizeof block, dir, NULL) ? fd_steal(&fd) : -1;
}

bool
disk_can_reflink(const char *from_dir, const char *to_dir)
{
    g_auto(Fd) from = scratch_file(from_dir);
    g_auto(Fd) to = scratch_file(to_dir);

    return from >= 0 && to >= 0 && ioctl(to, FICLONE, from) == 0;
}

/* One piece through user memory, for file systems (and pairs of them) that copy_file_range refuses. */
static bool
copy_by_hand(int in_fd, const char *in_name, uint64_t from, int out_fd, const char *out_name, uint64_t to,
             uint64_t size, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(COPY_BUFFER_BYTES);

    for (uint64_t done = 0; done < size;) {
        size_t n = MIN(size - done, COPY_BUFFER_BYTES);

        if (!fd_pread_exact(in_fd, buffer, n, from + done, in_name, error) ||
            !disk_sparse_write(out_fd, buffer, n, to + done, out_name, error))
            return false;
        done += n;
    }
    return true;
}

bool
disk_copy_range(int in_fd, const char *in_name, uint64_t from, int out_fd, const char *out_name, uint64_t to,
                uint64_t size, Progress *progress, GError **error)
{
    while (size > 0) {
        off_t in = (off_t)from, out = (off_t)to;
        size_t want = MIN(size, COPY_PIECE_BYTES);
        ssize_t n;

        if (!interrupt_check(error))
            return false;
        n = copy_file_range(in_fd, &in, out_fd, &out, want, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
            return error_set_errno(error, "%s: cannot copy to %s", in_name, out_name);
        if (n <= 0) { /* EXDEV, EINVAL, EOPNOTSUPP, ENOSYS ... and 0 from kernels that pretend */
            if (!copy_by_hand(in_fd, in_name, from, out_fd, out_name, to, want, error))
                return false;
            n = (ssize_t)want;
        }
        from += (uint64_t)n;
        to += (uint64_t)n;
        size -= (uint64_t)n;
        progress_add(progress, (uint64_t)n);
    }
    return true;
}

bool
disk_copy(int in_fd, const char *in_name, int out_fd, const char *out_name, Progress *progress,
          DiskCopyKind *out_kind, GError **error)
{
    uint64_t size, at = 0, start, stop;

    if (!fd_size(in_fd, in_name, &size, error))
        return false;
    if (ioctl(out_fd, FICLONE, in_fd) == 0) {
        progress_set(progress, size);
        *out_kind = DISK_COPY_REFLINK;
        return true;
    }
    if (ftruncate(out_fd, (off_t)size) < 0)
        return error_set_errno(error, "%s: cannot set its size", out_name);
    while (disk_sparse_next_data(in_fd, at, size, &start, &stop)) {
        progress_add(progress, start - at);
        if (!disk_copy_range(in_fd, in_name, start, out_fd, out_name, start, stop - start, progress, error))
            return false;
        at = stop;
    }
    progress_set(progress, size);
    *out_kind = DISK_COPY_SPARSE;
    return true;
}

bool
disk_spool(int in_fd, const char *in_name, int out_fd, const char *out_name, Progress *progress,
           GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(COPY_BUFFER_BYTES);
    uint64_t at = 0;

    for (;;) {
        size_t filled = 0;

        /* A pipe gives 64 KiB at a time: whole buffers keep the pieces that may become holes aligned. */
        while (filled < COPY_BUFFER_BYTES) {
            ssize_t n =
                interrupt_check(error) ? read(in_fd, buffer + filled, COPY_BUFFER_BYTES - filled) : -2;

            if (n == -2)
                return false;
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return error_set_errno(error, "%s: cannot read", in_name);
            if (n == 0)
                break;
            filled += (size_t)n;
        }
        if (!disk_sparse_write(out_fd, buffer, filled, at, out_name, error))
            return false;
        at += filled;
        progress_set(progress, at);
        if (filled < COPY_BUFFER_BYTES)
            break;
    }
    if (ftruncate(out_fd, (off_t)at) < 0)
        return error_set_errno(error, "%s: cannot set its size", out_name);
    return true;
}
