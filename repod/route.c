// SPDX-License-Identifier: Apache-2.0
/* Which part of the server answers a request. */
#include "repod/route.h"

void
route_request(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange)
{
    *out_exchange = (Exchange){NULL, NULL};
    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        reply_begin_refusal(reply, request, 405, true);
    else
        reply_begin_file(reply, request, facts->worker->shared->root_fd, facts->should_close);
}
