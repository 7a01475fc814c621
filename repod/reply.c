// SPDX-License-Identifier: Apache-2.0
/* Sends head and body. What the head says of a file comes from fstat() of the descriptor that
 * is sent, so a publisher that replaces the file meanwhile cannot make a mix of two. */
#include "repod/reply.h"
#include "repod/cold.h"

#include <errno.h>
#include <string.h>

/* Up to here a body goes out with its head, in one call: copying that much costs less than a second call. */
#define WHOLE_BYTES ((size_t)16 * 1024)

static int
status_of_errno(int code)
{
    switch (code) {
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return 503;
    case EIO:
        return 500;
    default: /* not there, a loop, a link that leads outside (EXDEV) */
        return 404;
    }
}

static void
rewind_reply(Reply *reply)
{
    reply->file = NULL;
    reply->memory = reply->rest = NULL;
    reply->is_out_of_files = false;
    reply->head_sent = 0;
    reply->body_sent = reply->warm_until = reply->looked_until = 0;
}

void
reply_begin_file(Reply *reply, const HttpRequest *request, FileCache *files, const Site *site,
                 const char *path, bool should_close)
{
    const time_t now = time(NULL);

    rewind_reply(reply);
    if (path[0] == '\0')
        errno = ENOENT;
    else
        reply->file = file_cache_open(files, site, path);
    if (reply->file != NULL)
        response_file(request, &reply->file->facts, now, should_close, &reply->response);
    else
        response_status(request, status_of_errno(errno), now, should_close, &reply->response);
    reply->is_out_of_files = reply->response.status == 503;
}

void
reply_begin_parts(Reply *reply, const ResponseHead *head, GBytes *body, GBytes *rest)
{
    ResponseHead whole = *head;

    rewind_reply(reply);
    whole.length = g_bytes_get_size(body) + (rest != NULL ? g_bytes_get_size(rest) : 0);
    reply->memory = g_bytes_ref(body);
    reply->rest = rest != NULL ? g_bytes_ref(rest) : NULL;
    response_head(&whole, time(NULL), &reply->response);
}

void
reply_begin_bytes(Reply *reply, const ResponseHead *head, GBytes *body)
{
    reply_begin_parts(reply, head, body, NULL);
}

void
reply_begin_refusal(Reply *reply, const HttpRequest *request, int status, bool should_close)
{
    rewind_reply(reply);
    response_status(request, status, time(NULL), should_close, &reply->response);
}

void
reply_begin_status(Reply *reply, int status)
{
    static const HttpRequest nothing = {.method = HTTP_OTHER};

    reply_begin_refusal(reply, &nothing, status, true);
}

void
reply_begin_later(Reply *reply, const HttpRequest *request, unsigned seconds, bool should_close)
{
    static const char text[] = "429 Too Many Requests\n";
    g_autoptr(GBytes) body = g_bytes_new_static(text, sizeof text - 1);
    char fields[64];
    const ResponseHead head = {
        .status = 429,
        .content_type = "text/plain",
        .fields = fields,
        .is_head = request->method == HTTP_HEAD,
        .should_close = should_close,
    };

    g_snprintf(fields, sizeof fields, "Retry-After: %u\r\n", seconds);
    reply_begin_bytes(reply, &head, body);
}

static TransportResult
send_head(Reply *reply, Transport *transport, size_t *out_size)
{
    const Response *response = &reply->response;

    /* With a body to follow, let the kernel put both into one packet. */
    return transport_send(transport, response->head + reply->head_sent,
                          response->head_length - reply->head_sent, response->length > 0, out_size);
}

/* find_memory: where the body goes on at @offset, in one of its parts. @size: in: wanted and there; out: at most to that part's end. */
static const char *
find_memory(const Reply *reply, uint64_t offset, size_t *size)
{
    gsize first_size;
    const char *first = g_bytes_get_data(reply->memory, &first_size);

    if (offset >= first_size)
        return (const char *)g_bytes_get_data(reply->rest, NULL) + (offset - first_size);
    *size = MIN(*size, first_size - (size_t)offset);
    return first + offset;
}

static TransportResult
send_body(Reply *reply, Transport *transport, size_t window, size_t *out_size)
{
    const Response *response = &reply->response;
    const uint64_t offset = response->offset + reply->body_sent;
    const size_t wanted = (size_t)MIN(response->length - reply->body_sent, window);
    size_t size = wanted;
    const char *data;

    if (reply->memory == NULL)
        return transport_send_file(transport, reply->file->fd, offset, size, out_size);
    data = find_memory(reply, offset, &size);
    return transport_send(transport, data, size, size < wanted, out_size);
}

static bool
copy_body(const Reply *reply, char *out)
{
    const Response *response = &reply->response;

    if (reply->memory == NULL)
        return cold_copy(reply->file->fd, response->offset, (size_t)response->length, out);
    for (size_t at = 0, size; at < response->length; at += size) {
        const char *data;

        size = (size_t)response->length - at;
        data = find_memory(reply, response->offset + at, &size);
        memcpy(out + at, data, size);
    }
    return true;
}

/* send_whole: head and body at once; returns false where they are not both at hand. */
static bool
send_whole(Reply *reply, Transport *transport, TransportResult *out_result)
{
    const Response *response = &reply->response;
    /* Not on the stack, which the hardened build clears each time. */
    static _Thread_local char whole[RESPONSE_HEAD_MAX + WHOLE_BYTES];
    size_t sent = 0;

    if (response->length == 0 || response->length > WHOLE_BYTES ||
        !copy_body(reply, whole + response->head_length))
        return false;
    memcpy(whole, response->head, response->head_length);
    *out_result =
        transport_send(transport, whole, response->head_length + (size_t)response->length, false, &sent);
    reply->head_sent = MIN(sent, response->head_length);
    reply->body_sent = sent - reply->head_sent;
    return true;
}

/* Once read by the pool, it counts as there: if memory is so short that it went again, waiting is no way out. */
static bool
is_cold(Reply *reply)
{
    const Response *response = &reply->response;
    const uint64_t left = response->length - reply->body_sent;
    const size_t size = (size_t)MIN(left, REPLY_MAX_WINDOW);

    if (reply->file == NULL || left == 0 || reply->body_sent < MAX(reply->warm_until, reply->looked_until))
        return false;
    if (!cold_is_cached(reply->file->fd, response->offset + reply->body_sent, size))
        return true;
    reply->looked_until = reply->body_sent + size;
    return false;
}

void
reply_warm(Reply *reply)
{
    const Response *response = &reply->response;
    const size_t size = (size_t)MIN(response->length - reply->body_sent, REPLY_MAX_WINDOW);

    cold_read(reply->file->fd, response->offset + reply->body_sent, size);
    reply->warm_until = reply->body_sent + size;
}

static TransportResult
send_some(Reply *reply, Transport *transport, size_t window)
{
    const Response *response = &reply->response;
    TransportResult result;
    size_t sent = 0;

    if (reply->head_sent == 0 && send_whole(reply, transport, &result)) {
        /* and the rest, if any, as any other body */
    } else if (reply->head_sent < response->head_length) {
        result = send_head(reply, transport, &sent);
        reply->head_sent += sent;
    } else if (reply->body_sent < response->length) {
        result = send_body(reply, transport, window, &sent);
        reply->body_sent += sent;
    } else {
        result = TRANSPORT_OK;
    }
    if (result == TRANSPORT_OK && reply->head_sent == response->head_length &&
        reply->body_sent == response->length)
        result = transport_flush(transport);
    return result;
}

ReplyProgress
reply_send(Reply *reply, Transport *transport, size_t window)
{
    const Response *response = &reply->response;
    TransportResult result;

    if (reply->head_sent == response->head_length && is_cold(reply))
        return REPLY_COLD;
    result = send_some(reply, transport, window);

    switch (result) {
    case TRANSPORT_WANT_READ:
        return REPLY_WANT_READ;
    case TRANSPORT_WANT_WRITE:
        return REPLY_WANT_WRITE;
    case TRANSPORT_CLOSED:
    case TRANSPORT_FAILED:
        return REPLY_FAILED;
    case TRANSPORT_OK:
        break;
    }
    if (reply->head_sent == response->head_length && reply->body_sent == response->length)
        return REPLY_DONE;
    return transport->is_full ? REPLY_WANT_WRITE : REPLY_MORE;
}

void
reply_clear(Reply *reply)
{
    g_clear_pointer(&reply->file, open_file_unref);
    g_clear_pointer(&reply->memory, g_bytes_unref);
    g_clear_pointer(&reply->rest, g_bytes_unref);
}
