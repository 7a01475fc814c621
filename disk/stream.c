// SPDX-License-Identifier: Apache-2.0
/* A raw image from its first byte to its last to whoever reads: as it is, or as a qcow2 file, whose tables come first. */
#include "base/fd.h"
#include "base/interrupt.h"
#include "disk/qcow2_layout.h"
#include "disk/sparse.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define PIECE_BYTES (256u << 10)
#define INTERRUPT_POLL_MS 500

typedef struct {
    int in_fd, out_fd;
    const char *in_name, *out_name;
    uint64_t size; /* of the raw image */
    Progress *progress;
} Stream;

/* A reader that does not read must not keep us from being interrupted. */
static bool
put(void *context, const void *data, size_t size, uint64_t offset G_GNUC_UNUSED, GError **error)
{
    const Stream *stream = context;
    const char *at = data, *end = at + size;

    while (at < end) {
        struct pollfd ready = {.fd = stream->out_fd, .events = POLLOUT};
        ssize_t n;

        if (!interrupt_check(error))
            return false;
        if (poll(&ready, 1, INTERRUPT_POLL_MS) <= 0)
            continue;
        n = write(stream->out_fd, at, (size_t)(end - at));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return error_set_errno(error, "%s: cannot write", stream->out_name);
        at += n;
    }
    return true;
}

/* The image from @at to @end; what is beyond it is zero. */
static bool
put_range(Stream *stream, uint8_t *data, uint64_t at, uint64_t end, GError **error)
{
    for (; at < end; at += MIN(end - at, PIECE_BYTES)) {
        size_t n = MIN(end - at, PIECE_BYTES);
        bool is_zero;

        if (!disk_sparse_read(stream->in_fd, data, n, at, stream->in_name, &is_zero, error) ||
            !put(stream, data, n, at, error))
            return false;
        progress_add(stream->progress, n);
    }
    return true;
}

static bool
put_qcow2(Stream *stream, const DiskLayout *layout, uint8_t *data, GError **error)
{
    g_autofree uint8_t *header = disk_layout_header(layout);
    uint64_t at = 0, start, place;

    if (!put(stream, header, DISK_LAYOUT_CLUSTER, 0, error) ||
        !disk_layout_put_tables(layout, put, stream, error))
        return false;
    while (disk_layout_next(layout, at, UINT64_MAX, &start, &at, &place))
        if (!put_range(stream, data, start, at, error))
            return false;
    return true;
}

bool
disk_target_stream(int in_fd, const char *in_name, const DiskLayout *layout, int out_fd, const char *out_name,
                   Progress *progress, GError **error)
{
    g_autofree uint8_t *data = g_malloc(PIECE_BYTES);
    Stream stream = {in_fd, out_fd, in_name, out_name, 0, progress};

    if (!fd_size(in_fd, in_name, &stream.size, error))
        return false;
    return layout != NULL ? put_qcow2(&stream, layout, data, error)
                          : put_range(&stream, data, 0, stream.size, error);
}
