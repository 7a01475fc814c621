// SPDX-License-Identifier: Apache-2.0
/* Bytes to and from one client, whatever is between; private to repod/. Every call is non-blocking. */
#pragma once

#include "base/fd.h"
#include "repod/tls.h"

typedef struct {
    Fd fd;
    TlsSession *tls;       /* NULL: plain */
    char *output;          /* TLS: accepted and not yet encrypted; NULL while there is nothing */
    size_t sent, accepted; /* of output */
    bool is_full;          /* plain: the kernel took less than it was given last: it has no room now */
} Transport;

/** transport_init: takes @fd, which is non-blocking. @tls: (nullable) speak TLS. */
void transport_init(Transport *transport, int fd, TlsContext *tls);

/** transport_clear: close; with TLS, say so if that is possible at once. */
void transport_clear(Transport *transport);

/** transport_handshake: TRANSPORT_OK when bytes can be received and sent. */
TransportResult transport_handshake(Transport *transport);

TransportResult transport_receive(Transport *transport, char *data, size_t size, size_t *out_size);

/** transport_has_pending: there are bytes to receive that no event of the socket will announce. */
bool transport_has_pending(const Transport *transport);

/** transport_is_silent: the client has sent nothing that was not received. */
bool transport_is_silent(const Transport *transport);

/** transport_discard: swallow some of what comes on the socket, undecrypted. */
TransportResult transport_discard(Transport *transport, size_t *out_size);

/** transport_send: accept some bytes. @has_more: more follows at once, so wait for it. */
TransportResult transport_send(Transport *transport, const char *data, size_t size, bool has_more,
                               size_t *out_size);

/** transport_send_file: the same from @offset of @file. A file that ends early is TRANSPORT_FAILED. */
TransportResult transport_send_file(Transport *transport, int file, uint64_t offset, size_t size,
                                    size_t *out_size);

/** transport_flush: TRANSPORT_OK when the kernel has all that was accepted. */
TransportResult transport_flush(Transport *transport);

/** transport_end: say that nothing more will be sent. */
TransportResult transport_end(Transport *transport);

/** transport_queued: bytes that the client has not taken yet; 0 where that is not known. */
int transport_queued(const Transport *transport);
