// SPDX-License-Identifier: Apache-2.0
/* Which part of the server answers a request. */
#include "repod/route.h"

#include "repod/push.h"
#include "repod/upload.h"
#include "repod/web.h"
#include "store/store.h"

#include <string.h>

int
route_find_access(const RouteFacts *facts, const HttpRequest *request, AccessGrant *out_grant,
                  unsigned *out_wait)
{
    const Config *config = facts->runtime->config;
    const AccessAsk ask = {
        .state_dir = config->state_dir,
        .repository = facts->site != NULL ? facts->site->config->name : NULL,
        .certificate = facts->certificate != NULL ? facts->certificate->fingerprint : NULL,
        .authorization = request->authorization,
        .peer = facts->peer,
        .is_tls = facts->is_tls,
        .has_insecure_tokens = config->has_insecure_tokens,
    };
    int status = access_find(facts->worker->shared->access, &ask, out_grant, out_wait);

    g_strlcpy(facts->note->token, out_grant->token, sizeof facts->note->token);
    return status;
}

static bool
is_write(const HttpRequest *request)
{
    return request->method != HTTP_GET && request->method != HTTP_HEAD;
}

/* admit: whether the site answers; else @reply says why not. */
static bool
admit(const RouteFacts *facts, const HttpRequest *request, Reply *reply, AccessGrant *out_grant)
{
    unsigned wait;
    int found = route_find_access(facts, request, out_grant, &wait);
    int status = access_judge(facts->site->config->is_public, is_write(request), found, out_grant);

    if (status == 429)
        counters_add(&facts->worker->shared->counters, COUNT_LIMIT_TOKENS);
    if (status != 0)
        access_refuse(reply, request, status, wait, facts->should_close);
    return status == 0;
}

static void
route_write(const RouteFacts *facts, const AccessGrant *grant, const HttpRequest *request, Reply *reply,
            Exchange *out_exchange)
{
    if (request->method == HTTP_PUT && strcmp(facts->path, "index") == 0)
        push_begin(facts, grant, request, reply, out_exchange);
    else if (store_is_blob(facts->path) && request->method != HTTP_POST && request->method != HTTP_OTHER)
        upload_begin(facts, grant, request, reply, out_exchange);
    else
        reply_begin_refusal(reply, request, 405, true);
}

static void
route_read(const RouteFacts *facts, const AccessGrant *grant, const HttpRequest *request, Reply *reply,
           Exchange *out_exchange)
{
    const Site *site = facts->site;

    if (web_route_site(facts, request, reply, out_exchange))
        return;
    reply_begin_file(reply, request, facts->worker->files, site, facts->path, facts->should_close);
    if (reply->file != NULL && reply->response.length > 0)
        facts->note->count = reply->file->count;
    if (reply->response.status == 404 && web_redirect(facts, request, reply))
        return;
    /* Who may upload it is told how much of it is there. */
    if (request->method == HTTP_HEAD && reply->response.status == 404 && site->config->may_push &&
        (grant->rights & ACCESS_PUSH) == ACCESS_PUSH && store_is_blob(facts->path))
        upload_begin(facts, grant, request, reply, out_exchange);
}

static void
route_site(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange)
{
    AccessGrant grant;

    /* Nothing can be written where nobody may: no token is asked for. */
    if (is_write(request) && !facts->site->config->may_push)
        reply_begin_refusal(reply, request, 405, true);
    else if (!admit(facts, request, reply, &grant))
        return;
    else if (is_write(request))
        route_write(facts, &grant, request, reply, out_exchange);
    else
        route_read(facts, &grant, request, reply, out_exchange);
}

void
route_request(const RouteFacts *facts, const HttpRequest *request, Reply *reply, Exchange *out_exchange)
{
    RouteFacts within = *facts;

    *out_exchange = (Exchange){NULL, NULL};
    within.site = runtime_find_site(facts->runtime, request->host.at, request->host.length, request->path,
                                    &within.path);
    facts->note->site = within.site != NULL ? within.site->config->name : NULL;
    if (web_route_server(facts, request, reply, out_exchange))
        return;
    if (within.site != NULL)
        route_site(&within, request, reply, out_exchange);
    else if (is_write(request))
        reply_begin_refusal(reply, request, 405, true);
    else if (!web_route_none(&within, request, reply))
        reply_begin_refusal(reply, request, 404, facts->should_close);
}
