// SPDX-License-Identifier: Apache-2.0
/*
 * An upload as its connection sees it: the event loop only collects pieces, everything that touches the disk or hashes is for
 * upload_work.c on the pool. Memory is one piece, whatever the size.
 */
#include "repod/upload_session.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

bool
upload_fail(UploadSession *session, int status, const char *text)
{
    session->status = status;
    session->text = text;
    return false;
}

bool
upload_hit(UploadSession *session, Count limit, int status, const char *text)
{
    counters_add(&session->shared->counters, limit);
    return upload_fail(session, status, text);
}

static void
session_free(void *self)
{
    UploadSession *session = self;

    if (session->key != NULL)
        upload_table_end(session->shared->uploads, session->key, session->session);
    runtime_unref(session->runtime);
    g_free(session->key);
    g_free(session->piece);
    g_free(session);
}

/* print_fields: what the client needs to go on. */
static char *
print_fields(bool has_part, uint64_t part_size, uint64_t max)
{
    g_autofree char *part =
        has_part
            ? g_strdup_printf("Upload-Offset: %" G_GUINT64_FORMAT "\r\nUpload-Complete: ?0\r\n", part_size)
            : g_strdup("");

    return g_strdup_printf("%sUpload-Limit: max-size=%" G_GUINT64_FORMAT "\r\n", part, max);
}

static void
answer(void *self, Reply *reply)
{
    const UploadSession *session = self;
    g_autofree char *fields =
        print_fields(session->has_part, session->part_size, session->site->config->max_upload);
    g_autofree char *later = session->status == 503 ? g_strconcat(fields, "Retry-After: 5\r\n", NULL) : NULL;
    g_autoptr(GBytes) text = g_bytes_new(session->text, strlen(session->text));
    const ResponseHead head = {
        .status = session->status,
        .content_type = "text/plain; charset=utf-8",
        .fields = later != NULL ? later : fields,
        /* What is left of a body would be taken for the next request. */
        .should_close = session->should_close || (session->has_body && !session->is_complete),
    };

    reply_begin_bytes(reply, &head, text);
}

static ExchangeStep
begin(void *self, Reply *reply)
{
    UploadSession *session = self;

    switch (upload_table_take(session->shared->uploads, session->site->config->dir, session->sha512,
                              &session->key, &session->session)) {
    case UPLOAD_TAKEN:
        return session->method == HTTP_DELETE ? EXCHANGE_MORE : EXCHANGE_WORK;
    case UPLOAD_BUSY:
        upload_fail(session, 409, "it is being uploaded already\n");
        break;
    case UPLOAD_TOO_MANY:
        upload_hit(session, COUNT_LIMIT_AT_ONCE, 503, "there are too many uploads at once\n");
        break;
    }
    answer(session, reply);
    return EXCHANGE_ANSWER;
}

static bool
resume(void *self, Reply *reply)
{
    UploadSession *session = self;

    if (session->status == 0)
        return true;
    answer(session, reply);
    return false;
}

static ExchangeStep
receive(void *self, const char *data, size_t size, G_GNUC_UNUSED Reply *reply)
{
    UploadSession *session = self;

    session->received += size;
    if (session->received > session->room)
        upload_hit(session, COUNT_LIMIT_ROOM, 507,
                   "there is no room for more: the repository's quota or the disk is full\n");
    else if (session->plan.offset + session->received > session->site->config->max_upload)
        upload_hit(session, COUNT_LIMIT_UPLOAD_SIZE, 413, "a file must not be so large here\n");
    else if (session->plan.has_total && session->plan.offset + session->received > session->plan.total)
        upload_fail(session, 400, "more came than was announced\n");
    if (session->status != 0)
        return EXCHANGE_WORK; /* it can never be complete: no part of it should stay */
    if (session->piece == NULL)
        session->piece = g_malloc(UPLOAD_PIECE);
    g_assert(size <= UPLOAD_PIECE - session->piece_size);
    memcpy(session->piece + session->piece_size, data, size);
    session->piece_size += size;
    return UPLOAD_PIECE - session->piece_size >= EXCHANGE_MAX_PIECE ? EXCHANGE_MORE : EXCHANGE_WORK;
}

static bool
complete(void *self, G_GNUC_UNUSED Reply *reply)
{
    ((UploadSession *)self)->is_complete = true;
    return false;
}

static const ExchangeKind UPLOAD = {begin, receive, resume, complete, upload_work, answer, session_free};

/* begin_head: how much of a blob that is not there is. */
static void
begin_head(const RouteFacts *facts, const char *sha512, Reply *reply)
{
    g_autofree char *path = store_part_path(sha512), *fields = NULL;
    g_autoptr(GBytes) nothing = g_bytes_new_static("", 0);
    struct stat part;
    const bool has_part = fstatat(facts->site->root, path, &part, AT_SYMLINK_NOFOLLOW) == 0;
    ResponseHead head = {
        .status = has_part ? 204 : 404,
        .content_type = "text/plain; charset=utf-8",
        .is_head = true,
        .should_close = facts->should_close,
    };

    fields = print_fields(true, has_part ? (uint64_t)part.st_size : 0, facts->site->config->max_upload);
    head.fields = fields;
    reply_begin_bytes(reply, &head, nothing);
}

void
upload_begin(const RouteFacts *facts, const AccessGrant *grant, const HttpRequest *request, Reply *reply,
             Exchange *out_exchange)
{
    const char *sha512 = strrchr(facts->path, '/') + 1;
    UploadPlan plan = {0};
    UploadSession *session;
    int status = 0;

    if (request->method == HTTP_HEAD) {
        begin_head(facts, sha512, reply);
        return;
    }
    if (request->method != HTTP_DELETE)
        status = upload_plan(request, facts->site->config->max_upload, &plan);
    if (status != 0) {
        if (status == 413)
            counters_add(&facts->worker->shared->counters, COUNT_LIMIT_UPLOAD_SIZE);
        reply_begin_refusal(reply, request, status, facts->should_close || request->has_body);
        return;
    }
    session = g_new0(UploadSession, 1);
    session->runtime = runtime_ref(facts->runtime);
    session->site = facts->site;
    session->shared = facts->worker->shared;
    session->grant = *grant;
    session->peer = *facts->peer;
    session->method = request->method;
    session->should_close = facts->should_close;
    session->has_body = request->has_body;
    session->plan = plan;
    g_strlcpy(session->sha512, sha512, sizeof session->sha512);
    *out_exchange = (Exchange){&UPLOAD, session};
}
