// SPDX-License-Identifier: Apache-2.0
/* How a step of input or output ended; private to repod/. */
#pragma once

typedef enum {
    TRANSPORT_OK, /* at least one byte */
    TRANSPORT_WANT_READ,
    TRANSPORT_WANT_WRITE,
    TRANSPORT_CLOSED, /* the client has sent all that it will */
    TRANSPORT_FAILED,
} TransportResult;
