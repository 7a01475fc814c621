// SPDX-License-Identifier: Apache-2.0
/* A plain TCP connection. */
#include "repod/transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

void
transport_init(Transport *transport, int fd)
{
    transport->fd = fd;
}

void
transport_clear(Transport *transport)
{
    if (transport->fd >= 0)
        fd_close(fd_steal(&transport->fd));
}

static TransportResult
result(ssize_t n, TransportResult blocked, size_t *out_size)
{
    if (n > 0)
        *out_size = (size_t)n;
    return n > 0 ? TRANSPORT_OK : errno == EAGAIN || errno == EINTR ? blocked : TRANSPORT_FAILED;
}

TransportResult
transport_receive(Transport *transport, char *data, size_t size, size_t *out_size)
{
    ssize_t n = recv(transport->fd, data, size, 0);

    return n == 0 ? TRANSPORT_CLOSED : result(n, TRANSPORT_WANT_READ, out_size);
}

TransportResult
transport_send(Transport *transport, const char *data, size_t size, bool has_more, size_t *out_size)
{
    ssize_t n = send(transport->fd, data, size, MSG_NOSIGNAL | (has_more ? MSG_MORE : 0));

    return result(n, TRANSPORT_WANT_WRITE, out_size);
}

TransportResult
transport_send_file(Transport *transport, int file, uint64_t offset, size_t size, size_t *out_size)
{
    off_t at = (off_t)offset;
    ssize_t n = sendfile(transport->fd, file, &at, size);

    return n == 0 ? TRANSPORT_FAILED : result(n, TRANSPORT_WANT_WRITE, out_size);
}

void
transport_end(Transport *transport)
{
    shutdown(transport->fd, SHUT_WR);
}

int
transport_queued(const Transport *transport)
{
    int queued;

    return ioctl(transport->fd, SIOCOUTQ, &queued) == 0 ? queued : 0;
}
