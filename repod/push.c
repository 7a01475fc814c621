// SPDX-License-Identifier: Apache-2.0
/* One push of an index: its body is kept in memory, and applied on the pool. */
#include "repod/push.h"

#include "repod/audit.h"
#include "repod/push_apply.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Runtime *runtime;
    const Site *site; /* of @runtime */
    Shared *shared;
    AccessGrant grant;
    Peer peer;
    bool should_close;
    char *etag; /* NULL: the first version */
    GByteArray *message;
    PushResult result;
} Push;

static void
push_free(void *self)
{
    Push *push = self;

    atomic_fetch_sub(&push->shared->n_pushes, 1);
    runtime_unref(push->runtime);
    g_free(push->etag);
    g_byte_array_unref(push->message);
    push_result_clear(&push->result);
    g_free(push);
}

static ExchangeStep
receive(void *self, const char *data, size_t size, Reply *reply)
{
    Push *push = self;

    if (size > STORE_MAX_PUSH - push->message->len) {
        counters_add(&push->shared->counters, COUNT_LIMIT_UPLOAD_SIZE);
        reply_begin_status(reply, 413);
        return EXCHANGE_ANSWER;
    }
    g_byte_array_append(push->message, (const guint8 *)data, (guint)size);
    return EXCHANGE_MORE;
}

static bool
complete(G_GNUC_UNUSED void *self, G_GNUC_UNUSED Reply *reply)
{
    return false;
}

static void
work(void *self)
{
    Push *push = self;
    g_autoptr(GBytes) message = g_byte_array_free_to_bytes(g_steal_pointer(&push->message));
    const char *name = push->site->config->name;
    AuditEntry entry = {
        .token = push->grant.token,
        .peer = &push->peer,
        .repository = name,
        .action = "publish",
    };

    push->message = g_byte_array_new();
    push_apply(push->site->config, message, push->etag, &push->result);
    if (push->result.is_internal)
        fprintf(stderr, "repod: [repository %s]: %s\n", name, push->result.text);
    g_strchomp(push->result.text);
    entry.version = push->result.version;
    entry.result = push->result.status == 200 ? "done" : push->result.text;
    audit_write(push->runtime->audit_log, &entry);
}

static void
answer(void *self, Reply *reply)
{
    const Push *push = self;
    g_autofree char *text = g_strconcat(
        push->result.is_internal ? "the server could not publish it; its log says why" : push->result.text,
        "\n", NULL);
    g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
    const ResponseHead head = {
        .status = push->result.status,
        .content_type = "text/plain; charset=utf-8",
        .fields = push->result.status == 503 ? "Retry-After: 1\r\n" : NULL,
        .should_close = push->should_close,
    };

    reply_begin_bytes(reply, &head, body);
}

static const ExchangeKind PUSH = {NULL, receive, NULL, complete, work, answer, push_free};

/* read_condition: the tag, or NULL for the first version. Anything else is no compare-and-swap. */
static bool
read_condition(const HttpRequest *request, char **out_etag)
{
    const HttpText match = request->if_match;

    *out_etag = NULL;
    if (request->if_none_match.at != NULL)
        return match.at == NULL && http_text_is(request->if_none_match, "*");
    if (match.at == NULL || match.length < 2 || match.at[0] != '"' || match.at[match.length - 1] != '"')
        return false;
    *out_etag = g_strndup(match.at, match.length);
    return true;
}

/* judge: 0, or the status of a refusal before its body is taken. */
static int
judge(const HttpRequest *request)
{
    if (!http_text_is(request->content_type, STORE_PUSH_TYPE))
        return 415;
    return !request->is_chunked && request->length > STORE_MAX_PUSH ? 413 : 0;
}

void
push_begin(const RouteFacts *facts, const AccessGrant *grant, const HttpRequest *request, Reply *reply,
           Exchange *out_exchange)
{
    Shared *shared = facts->worker->shared;
    g_autofree char *etag = NULL;
    int status = judge(request);
    Push *push;

    if (status == 0 && !read_condition(request, &etag))
        status = 428;
    if (status == 0 && atomic_fetch_add(&shared->n_pushes, 1) >= PUSH_MAX_AT_ONCE) {
        atomic_fetch_sub(&shared->n_pushes, 1);
        counters_add(&shared->counters, COUNT_LIMIT_AT_ONCE);
        status = 503;
    }
    if (status == 413)
        counters_add(&shared->counters, COUNT_LIMIT_UPLOAD_SIZE);
    if (status != 0) {
        reply_begin_refusal(reply, request, status, facts->should_close || request->has_body);
        return;
    }
    push = g_new0(Push, 1);
    push->runtime = runtime_ref(facts->runtime);
    push->site = facts->site;
    push->shared = shared;
    push->grant = *grant;
    push->peer = *facts->peer;
    push->should_close = facts->should_close;
    push->etag = g_steal_pointer(&etag);
    push->message = g_byte_array_new();
    *out_exchange = (Exchange){&PUSH, push};
}
