// SPDX-License-Identifier: Apache-2.0
/* One request that takes more than opening a file: it has a body, or work that would block the event loop; private to
 * repod/. */
#pragma once

#include "repod/reply.h"

/** ExchangeKind: how one kind of request is handled. All but work() are called on the connection's own thread. */
typedef struct {
    /** receive: some of the body. Returns false with @reply set for an answer before its end, which closes. NULL: there
     * is never a body. */
    bool (*receive)(void *self, const char *data, size_t size, Reply *reply);
    /** complete: the whole body came, or there is none. Returns true with @reply set, or false to have work() done. */
    bool (*complete)(void *self, Reply *reply);
    /** work: what may block, on a thread of the pool. Touches nothing but @self. */
    void (*work)(void *self);
    /** answer: after work(). Sets @reply. */
    void (*answer)(void *self, Reply *reply);
    /** free: in the end, also where the client went away; never during work(). */
    void (*free)(void *self);
} ExchangeKind;

typedef struct {
    const ExchangeKind *kind; /* NULL: none */
    void *self;
} Exchange;

static inline void
exchange_clear(Exchange *exchange)
{
    if (exchange->kind != NULL)
        exchange->kind->free(exchange->self);
    *exchange = (Exchange){NULL, NULL};
}
