// SPDX-License-Identifier: Apache-2.0
/* Which part of the server answers a request. */
#include "repod/route.h"

void
route_request(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange)
{
    RouteFacts within = *facts;

    *out_exchange = (Exchange){NULL, NULL};
    within.site = runtime_find_site(facts->runtime, request->host.at, request->host.length, request->path,
                                    &within.path);
    facts->note->site = within.site != NULL ? within.site->config->name : NULL;
    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        reply_begin_refusal(reply, request, 405, true);
    else if (within.site == NULL)
        reply_begin_refusal(reply, request, 404, facts->should_close);
    else
        reply_begin_file(reply, request, within.site->root, within.path, facts->should_close);
}
