// SPDX-License-Identifier: Apache-2.0
/*
 * One range request: its headers are judged before a byte of its body is taken, and what comes is cut into the pieces that were
 * asked for. Which mirror is asked, and what follows from a failure, is for ranges.c.
 */
#include "net/ranges.h"

#include "base/interrupt.h"

#include <string.h>

void
range_piece_free(RangePiece *piece)
{
    if (piece == NULL)
        return;
    g_free(piece->piece.data);
    g_free(piece);
}

void
range_request_init(RangeRequest *request, CURLM *multi, const NetLimits *limits, GQueue *complete)
{
    *request = (RangeRequest){.curl = net_curl_new(), .multi = multi, .limits = limits, .complete = complete};
    g_queue_init(&request->pieces);
}

void
range_request_clear(RangeRequest *request)
{
    if (request->mirror != NULL)
        curl_multi_remove_handle(request->multi, request->curl);
    curl_easy_cleanup(request->curl);
    curl_slist_free_all(request->headers);
    net_head_clear(&request->head);
    g_clear_error(&request->problem);
}

static bool refuse(RangeRequest *request, RangeVerdict verdict, BaseError code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static bool
refuse(RangeRequest *request, RangeVerdict verdict, BaseError code, const char *format, ...)
{
    va_list args;

    if (request->problem != NULL)
        return false;
    va_start(args, format);
    request->problem = g_error_new_valist(BASE_ERROR, (gint)code, format, args);
    va_end(args);
    g_prefix_error(&request->problem, "%s: ", request->mirror->url);
    request->verdict = verdict;
    return false;
}

static bool
check_size(RangeRequest *request, uint64_t size)
{
    if (size == request->mirror->size)
        return true;
    return refuse(request, RANGE_REFUSED, BASE_ERROR_UNTRUSTED,
                  "the server's file has %" G_GUINT64_FORMAT " bytes, the index states %" G_GUINT64_FORMAT,
                  size, request->mirror->size);
}

static bool
has_changed(RangeRequest *request)
{
    request->mirror->has_changed = true;
    return refuse(request, RANGE_BAD, BASE_ERROR_UNTRUSTED, "the file changed while it was fetched");
}

/* 200: what a server does that knows no ranges, or whose file has no longer the tag that was stated. */
static bool
judge_whole(RangeRequest *request)
{
    curl_off_t length = -1;

    curl_easy_getinfo(request->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length >= 0 && !check_size(request, (uint64_t)length))
        return false;
    if (request->has_tag && request->mirror->has_changed)
        return refuse(request, RANGE_OUTDATED, BASE_ERROR_UNAVAILABLE, "the file has another tag at times");
    if (request->mirror->has_ranges)
        return has_changed(request);
    return refuse(request, RANGE_WHOLE_ONLY, BASE_ERROR_FAILED, "the server does not answer range requests");
}

static bool
judge_part(RangeRequest *request)
{
    RangeMirror *mirror = request->mirror;
    uint64_t first, last, total;

    if (request->head.content_range == NULL ||
        !net_parse_content_range(request->head.content_range, &first, &last, &total))
        return refuse(request, RANGE_BAD, BASE_ERROR_FAILED,
                      "the server's answer does not say which range it is");
    if (!check_size(request, total))
        return false;
    if (first != request->first || last != request->end - 1)
        return refuse(request, RANGE_BAD, BASE_ERROR_FAILED,
                      "the server sends another range than was asked for");
    if (mirror->etag != NULL && request->head.etag != NULL && strcmp(mirror->etag, request->head.etag) != 0 &&
        !mirror->has_changed)
        return has_changed(request);
    if (mirror->etag == NULL)
        mirror->etag = g_steal_pointer(&request->head.etag);
    mirror->has_ranges = true;
    return true;
}

static bool
judge(RangeRequest *request)
{
    long status = 0;

    if (request->is_accepted)
        return true;
    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206)
        return refuse(request, RANGE_REFUSED, BASE_ERROR_FAILED, "unexpected HTTP status %ld", status);
    if (request->head.is_encoded)
        return refuse(request, RANGE_BAD, BASE_ERROR_FAILED,
                      "the server sent a Content-Encoding that was not asked for");
    request->is_accepted = status == 206 ? judge_part(request) : judge_whole(request);
    return request->is_accepted;
}

/* The next bytes of the first piece that is not complete; there is one. Returns: how many it took */
static size_t
fill(RangeRequest *request, const char *data, size_t size)
{
    RangePiece *piece = g_queue_peek_head(&request->pieces);
    size_t n = MIN(size, piece->piece.size - piece->have);

    if (piece->piece.data == NULL)
        piece->piece.data = g_malloc(piece->piece.size);
    memcpy(piece->piece.data + piece->have, data, n);
    piece->have += (uint32_t)n;
    request->has_progress = request->has_progress || piece->have > piece->best;
    piece->best = MAX(piece->best, piece->have);
    if (piece->have == piece->piece.size)
        g_queue_push_tail(request->complete, g_queue_pop_head(&request->pieces));
    return n;
}

static size_t
on_body(char *data, size_t one, size_t count, void *context)
{
    RangeRequest *request = context;
    size_t size = one * count;

    if (!judge(request))
        return 0;
    if (size > request->end - request->at) {
        refuse(request, RANGE_BAD, BASE_ERROR_FAILED, "the server sends more than was asked for");
        return 0;
    }
    for (size_t done = 0; done < size;)
        done += fill(request, data + done, size - done);
    request->at += size;
    request->received += size;
    net_curl_count(request->limits, size);
    return size;
}

static size_t
on_header(char *line, size_t one, size_t count, void *context)
{
    net_head_read(&((RangeRequest *)context)->head, line, one * count);
    return one * count;
}

static void
set_headers(RangeRequest *request)
{
    const RangeMirror *mirror = request->mirror;
    g_autofree char *range = g_strdup_printf("Range: bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT,
                                             request->first, request->end - 1);

    curl_slist_free_all(request->headers);
    request->headers = curl_slist_append(NULL, "Accept-Encoding: identity");
    request->headers = curl_slist_append(request->headers, range);
    request->has_tag = mirror->etag != NULL && !mirror->has_changed;
    if (request->has_tag) {
        g_autofree char *line = g_strdup_printf("If-Range: %s", mirror->etag);

        request->headers = curl_slist_append(request->headers, line);
    }
}

/* Where the first byte to ask for is: what another mirror sent of a piece is not mixed with what this one sends. */
static void
set_range(RangeRequest *request, unsigned number)
{
    const RangePiece *last = g_queue_peek_tail(&request->pieces);
    RangePiece *first = g_queue_peek_head(&request->pieces);

    if (first->piece.mirror != number)
        first->have = 0;
    for (GList *link = request->pieces.head; link != NULL; link = link->next)
        ((RangePiece *)link->data)->piece.mirror = number;
    request->first = request->at = first->piece.offset + first->have;
    request->end = last->piece.offset + last->piece.size;
}

void
range_request_start(RangeRequest *request, RangeMirror *mirror, unsigned number)
{
    request->mirror = mirror;
    request->is_accepted = request->has_progress = false;
    request->message[0] = '\0';
    request->started_us = g_get_monotonic_time();
    net_head_clear(&request->head);
    g_clear_error(&request->problem);
    set_range(request, number);
    set_headers(request);
    net_curl_set_common(request->curl, mirror->url, request->limits, request->message, request->headers);
    net_curl_set_get(request->curl, mirror->url);
    net_curl_set_access(request->curl, mirror->url, request->limits->access);
    curl_easy_setopt(request->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(request->curl, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(request->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(request->curl, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(request->curl, CURLOPT_PRIVATE, request);
    curl_multi_add_handle(request->multi, request->curl);
}

bool
range_request_finish(RangeRequest *request, CURLcode code)
{
    long status = 0;

    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && judge(request) && request->at < request->end)
        refuse(request, RANGE_FAILED, BASE_ERROR_UNAVAILABLE,
               "the server stopped %" G_GUINT64_FORMAT " bytes before the end of the range",
               request->end - request->at);
    if (code != CURLE_OK && request->problem == NULL) {
        net_curl_set_failure(request->curl, code, request->mirror->url, request->message, request->limits,
                             &request->problem);
        request->verdict = net_curl_is_transient(code, status) ? RANGE_FAILED : RANGE_REFUSED;
    }
    return request->problem == NULL;
}
