// SPDX-License-Identifier: Apache-2.0
/* Which part of the server answers a request; private to repod/. */
#pragma once

#include "repod/access.h"
#include "repod/exchange.h"
#include "repod/peer.h"
#include "repod/request_note.h"
#include "repod/tls.h"
#include "repod/worker.h"

/** RouteFacts: what is known of the request besides its head. Borrowed: an exchange refs the runtime if it keeps its parts. */
typedef struct {
    Worker *worker;
    Runtime *runtime;
    const Peer *peer;
    const TlsClient *certificate; /* that the client proved to have; NULL: none */
    RequestNote *note;            /* to be filled in; valid as long as the exchange */
    bool is_tls;
    bool should_close; /* after the answer, whatever the client wishes */

    /* These two are found by route_request() and given on by it. */
    const Site *site; /* NULL: the request is for no repository */
    const char *path; /* within the site; "" for its root, and for what is never served */
} RouteFacts;

/** route_find_access: access_find() of @request, with rights in facts->site or, without one, in all. */
int route_find_access(const RouteFacts *facts, const HttpRequest *request, AccessGrant *out_grant,
                      unsigned *out_wait);

/**
 * route_request: begin the answer to @request, whose texts are valid during this call alone.
 * Either @reply is set, or @out_exchange is what takes the body and gives the answer.
 */
void route_request(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange);
