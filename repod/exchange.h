// SPDX-License-Identifier: Apache-2.0
/* One request that takes more than opening a file: it has a body, or work that would block the event loop; private to
 * repod/. */
#pragma once

#include "repod/reply.h"

/** What receive() gets at most: few system calls, and still little memory for a thousand uploads. */
#define EXCHANGE_MAX_PIECE ((size_t)64 * 1024)

typedef enum {
    EXCHANGE_MORE,   /* the body, or more of it */
    EXCHANGE_WORK,   /* have work() done, then resume() */
    EXCHANGE_ANSWER, /* @reply is set, for an answer before the body's end, which closes */
} ExchangeStep;

/** ExchangeKind: how one kind of request is handled. All but work() are called on the connection's own thread. */
typedef struct {
    /** begin: before the body is asked for, so that who waits for 100 (Continue) need not send it in vain. NULL: more. */
    ExchangeStep (*begin)(void *self, Reply *reply);
    /** receive: some of the body. NULL: there is never a body. */
    ExchangeStep (*receive)(void *self, const char *data, size_t size, Reply *reply);
    /** resume: after work() that begin() or receive() asked for: whether to go on with the body, else @reply is set.
     * NULL: they never ask. */
    bool (*resume)(void *self, Reply *reply);
    /** complete: the whole body came, or there is none. Returns true with @reply set, or false to have work() done. */
    bool (*complete)(void *self, Reply *reply);
    /** work: what may block, on a thread of the pool. Touches nothing but @self, and what has a lock. */
    void (*work)(void *self);
    /** answer: after work() that complete() asked for. Sets @reply. */
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
