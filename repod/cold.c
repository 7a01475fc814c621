// SPDX-License-Identifier: Apache-2.0
/* sendfile() waits for the disk on behalf of its caller, which is an event loop with thousands of other connections. So the loop
 * asks first, and what is not in memory is read by the pool. */
#include "repod/cold.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/uio.h>
#include <unistd.h>

/* A second window is on its way while the first is sent. */
#define AHEAD_WINDOWS 2
#define PIECE_BYTES (64 * 1024)

/* One byte of one page. Anything but EAGAIN, as of a file system that cannot tell, counts as there. */
static bool
has_page(int file, uint64_t offset)
{
    char byte;
    struct iovec place = {.iov_base = &byte, .iov_len = 1};

    return preadv2(file, &place, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

bool
cold_is_cached(int file, uint64_t offset, size_t size)
{
    /* The kernel reads ahead from the front, so the end is what comes last. The front tells of a file that was read in
     * parts. */
    return size == 0 ||
           (has_page(file, offset + size - 1) && (size <= PIECE_BYTES || has_page(file, offset)));
}

bool
cold_copy(int file, uint64_t offset, size_t size, char *out)
{
    struct iovec place = {.iov_base = out, .iov_len = size};
    ssize_t n = preadv2(file, &place, 1, (off_t)offset, RWF_NOWAIT);

    /* A file system that cannot tell, as tmpfs, which is memory anyway. */
    if (n < 0 && errno == EOPNOTSUPP)
        n = pread(file, out, size, (off_t)offset);
    return n == (ssize_t)size;
}

void
cold_read(int file, uint64_t offset, size_t size)
{
    g_autofree char *piece = g_malloc(PIECE_BYTES);
    const uint64_t end = offset + size;

    (void)posix_fadvise(file, (off_t)offset, (off_t)size * AHEAD_WINDOWS, POSIX_FADV_WILLNEED);
    while (offset < end) {
        ssize_t n = pread(file, piece, (size_t)MIN(end - offset, PIECE_BYTES), (off_t)offset);

        if (n <= 0)
            return; /* whoever sends it meets the same */
        offset += (uint64_t)n;
    }
}
