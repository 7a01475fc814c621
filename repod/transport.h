// SPDX-License-Identifier: Apache-2.0
/* Bytes to and from one client, whatever is between; private to repod/. Every call is non-blocking. */
#pragma once

#include "base/fd.h"

typedef struct {
    Fd fd;
} Transport;

typedef enum {
    TRANSPORT_OK, /* at least one byte */
    TRANSPORT_WANT_READ,
    TRANSPORT_WANT_WRITE,
    TRANSPORT_CLOSED, /* the client has sent all that it will */
    TRANSPORT_FAILED,
} TransportResult;

/** transport_init: takes @fd, which is non-blocking. */
void transport_init(Transport *transport, int fd);
void transport_clear(Transport *transport);

TransportResult transport_receive(Transport *transport, char *data, size_t size, size_t *out_size);

/** transport_send: @has_more: more follows at once, so let the kernel wait for it. */
TransportResult transport_send(Transport *transport, const char *data, size_t size, bool has_more,
                               size_t *out_size);

/** transport_send_file: from @offset of @file. A file that ends early is TRANSPORT_FAILED. */
TransportResult transport_send_file(Transport *transport, int file, uint64_t offset, size_t size,
                                    size_t *out_size);

/** transport_end: say that nothing more will be sent. */
void transport_end(Transport *transport);

/** transport_queued: bytes that the client has not taken yet; 0 where that is not known. */
int transport_queued(const Transport *transport);
