// SPDX-License-Identifier: Apache-2.0
/* Whole reads and writes on descriptors. */
#include "base/fd.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void
fd_close(Fd fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

int
fd_steal(Fd *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

bool
fd_write_all(int fd, const void *data, size_t size, const char *name, GError **error)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, "%s: cannot write", name);
        at += n;
        size -= (size_t)n;
    }
    return true;
}

bool
fd_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, const char *name, GError **error)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, "%s: cannot write", name);
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

ssize_t
fd_pread(int fd, void *data, size_t size, uint64_t offset, const char *name, GError **error)
{
    char *at = data;
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(fd, at + done, size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_set_errno(error, "%s: cannot read", name);
            return -1;
        }
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

bool
fd_pread_exact(int fd, void *data, size_t size, uint64_t offset, const char *name, GError **error)
{
    ssize_t n = fd_pread(fd, data, size, offset, name, error);

    if (n < 0)
        return false;
    if ((size_t)n < size)
        return error_set(error, "%s: ends at byte %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT " expected",
                         name, (guint64)(offset + (uint64_t)n), (guint64)(offset + size));
    return true;
}

bool
fd_size(int fd, const char *name, uint64_t *out_size, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(error, "%s", name);
    if (S_ISREG(st.st_mode)) {
        *out_size = (uint64_t)st.st_size;
        return true;
    }
    if (S_ISBLK(st.st_mode)) {
        off_t end = lseek(fd, 0, SEEK_END);

        if (end < 0)
            return error_set_errno(error, "%s", name);
        *out_size = (uint64_t)end;
        return true;
    }
    return error_set(error, "%s: neither a regular file nor a block device", name);
}
