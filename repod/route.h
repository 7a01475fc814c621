// SPDX-License-Identifier: Apache-2.0
/* Which part of the server answers a request; private to repod/. */
#pragma once

#include "repod/exchange.h"
#include "repod/peer.h"
#include "repod/worker.h"

/** RouteFacts: what is known of the request besides its head. Borrowed. */
typedef struct {
    Worker *worker;
    const Peer *peer;
    bool should_close; /* after the answer, whatever the client wishes */
} RouteFacts;

/**
 * route_request: begin the answer to @request, whose texts are valid during this call alone.
 * Either @reply is set, or @out_exchange is what takes the body and gives the answer.
 */
void route_request(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange);
