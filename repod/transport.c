// SPDX-License-Identifier: Apache-2.0
/* A connection, plain or with TLS. Plain bytes go from the file to the socket within the kernel; TLS takes them through one
 * buffer, in which the head and the start of the body also become one record. */
#include "repod/transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* Four records of TLS: few reads of the file, and little memory for many downloads. */
#define OUTPUT_BYTES (64 * 1024)
/* Enough for the next record: no need to read more before the client has taken some. */
#define RECORD_BYTES (16 * 1024)
#define DISCARD_BYTES (16 * 1024)

void
transport_init(Transport *transport, int fd, TlsContext *tls)
{
    *transport = (Transport){.fd = fd, .tls = tls == NULL ? NULL : tls_session_new(tls, fd)};
}

void
transport_clear(Transport *transport)
{
    if (transport->tls != NULL) {
        tls_end(transport->tls);
        tls_session_free(g_steal_pointer(&transport->tls));
    }
    g_clear_pointer(&transport->output, g_free);
    if (transport->fd >= 0)
        fd_close(fd_steal(&transport->fd));
}

TransportResult
transport_handshake(Transport *transport)
{
    return transport->tls == NULL ? TRANSPORT_OK : tls_handshake(transport->tls);
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
    ssize_t n;

    if (transport->tls != NULL)
        return tls_receive(transport->tls, data, size, out_size);
    n = recv(transport->fd, data, size, 0);
    return n == 0 ? TRANSPORT_CLOSED : result(n, TRANSPORT_WANT_READ, out_size);
}

/* sent: @n of @size bytes. */
static TransportResult
sent(Transport *transport, ssize_t n, size_t size, size_t *out_size)
{
    transport->is_full = n >= 0 && (size_t)n < size;
    return result(n, TRANSPORT_WANT_WRITE, out_size);
}

bool
transport_has_pending(const Transport *transport)
{
    return transport->tls != NULL && tls_has_pending(transport->tls);
}

bool
transport_is_silent(const Transport *transport)
{
    char byte;

    return !transport_has_pending(transport) && recv(transport->fd, &byte, 1, MSG_PEEK) <= 0;
}

TransportResult
transport_discard(Transport *transport, size_t *out_size)
{
    char ignored[DISCARD_BYTES];
    ssize_t n = recv(transport->fd, ignored, sizeof ignored, 0);

    return n == 0 ? TRANSPORT_CLOSED : result(n, TRANSPORT_WANT_READ, out_size);
}

/* Where more can be put; at most *@size bytes. */
static char *
make_room(Transport *transport, size_t *size)
{
    if (transport->output == NULL)
        transport->output = g_malloc(OUTPUT_BYTES);
    *size = MIN(*size, OUTPUT_BYTES - transport->accepted);
    return transport->output + transport->accepted;
}

TransportResult
transport_flush(Transport *transport)
{
    TransportResult ended = TRANSPORT_OK;
    size_t n;

    while (ended == TRANSPORT_OK && transport->sent < transport->accepted) {
        n = 0;
        ended = tls_send(transport->tls, transport->output + transport->sent,
                         transport->accepted - transport->sent, &n);
        transport->sent += n;
    }
    if (transport->sent == transport->accepted) {
        transport->sent = transport->accepted = 0;
        g_clear_pointer(&transport->output, g_free);
    }
    return ended;
}

/* After @accepted more bytes: there was progress, whether or not the client takes them at once. */
static TransportResult
flush_some(Transport *transport, size_t accepted)
{
    TransportResult ended = transport_flush(transport);

    return accepted > 0 && (ended == TRANSPORT_WANT_READ || ended == TRANSPORT_WANT_WRITE) ? TRANSPORT_OK
                                                                                           : ended;
}

static TransportResult
send_tls(Transport *transport, const char *data, size_t size, bool has_more, size_t *out_size)
{
    char *at = make_room(transport, &size);

    memcpy(at, data, size);
    transport->accepted += size;
    *out_size = size;
    return has_more && size > 0 ? TRANSPORT_OK : flush_some(transport, size);
}

TransportResult
transport_send(Transport *transport, const char *data, size_t size, bool has_more, size_t *out_size)
{
    if (transport->tls != NULL)
        return send_tls(transport, data, size, has_more, out_size);
    return sent(transport, send(transport->fd, data, size, MSG_NOSIGNAL | (has_more ? MSG_MORE : 0)), size,
                out_size);
}

static TransportResult
send_file_tls(Transport *transport, int file, uint64_t offset, size_t size, size_t *out_size)
{
    ssize_t n = 0;

    if (tls_is_kernel(transport->tls)) {
        TransportResult ended = transport_flush(transport);

        return ended == TRANSPORT_OK ? tls_send_file(transport->tls, file, offset, size, out_size) : ended;
    }
    if (transport->accepted - transport->sent < RECORD_BYTES) {
        char *at;

        /* What could not be sent moves to the front, which OpenSSL was told may happen. */
        if (transport->sent > 0) {
            memmove(transport->output, transport->output + transport->sent,
                    transport->accepted - transport->sent);
            transport->accepted -= transport->sent;
            transport->sent = 0;
        }
        at = make_room(transport, &size);
        n = pread(file, at, size, (off_t)offset);
        if (n <= 0)
            return TRANSPORT_FAILED;
        transport->accepted += (size_t)n;
        *out_size = (size_t)n;
    }
    return flush_some(transport, (size_t)n);
}

TransportResult
transport_send_file(Transport *transport, int file, uint64_t offset, size_t size, size_t *out_size)
{
    off_t at = (off_t)offset;
    ssize_t n;

    if (transport->tls != NULL)
        return send_file_tls(transport, file, offset, size, out_size);
    n = sendfile(transport->fd, file, &at, size);
    return n == 0 ? TRANSPORT_FAILED : sent(transport, n, size, out_size);
}

TransportResult
transport_end(Transport *transport)
{
    TransportResult ended = transport->tls == NULL ? TRANSPORT_OK : tls_end(transport->tls);

    if (ended == TRANSPORT_OK)
        shutdown(transport->fd, SHUT_WR);
    return ended;
}

int
transport_queued(const Transport *transport)
{
    int queued;

    return ioctl(transport->fd, SIOCOUTQ, &queued) == 0 ? queued : 0;
}
