// SPDX-License-Identifier: Apache-2.0
/* What a connection does in each state: take a head, its body, have its work done, answer it. */
#include "repod/conn_state.h"

#include <string.h>

/* After the last answer: how long to swallow what the client still sends. Closing at once would make the kernel
 * reset the connection, and the client may lose the answer with it (RFC 9112, 9.6). */
#define LINGER_US (2 * G_USEC_PER_SEC)
#define LINGER_BYTES (16 * 1024 * 1024)
/* With a limit on bandwidth: small enough that a pause is short. */
#define LIMITED_WINDOW (64 * 1024)
static const char GO_ON[] = "HTTP/1.1 100 Continue\r\n\r\n";

void
conn_drop_input(Conn *conn, size_t size)
{
    conn->input_size -= size;
    if (conn->input_size > 0)
        memmove(conn->input, conn->input + size, conn->input_size);
    else if (conn->state != CONN_RECEIVING)
        g_clear_pointer(&conn->input, g_free);
}

static void
count_blob(Conn *conn)
{
    ShelfCount *count = conn->note.count;

    if (count == NULL)
        return;
    if (conn->reply.response.offset == 0)
        atomic_fetch_add_explicit(&count->pulls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&count->bytes, conn->reply.body_sent, memory_order_relaxed);
}

void
conn_end_reply(Conn *conn)
{
    AccessEntry entry = {
        .peer = conn->peer_text,
        .text = conn->log_text,
        .note = &conn->note,
        .status = conn->reply.response.status,
        .body_bytes = conn->reply.body_sent,
        .duration_us = g_get_monotonic_time() - conn->started_us,
        .now_us = g_get_real_time(),
    };

    metrics_add(&conn->worker->metrics, conn->note.method, entry.status, entry.body_bytes, entry.duration_us);
    count_blob(conn);
    if (conn->worker->log != NULL) {
        if (conn->peer_text[0] == '\0')
            peer_print(&conn->peer, conn->peer_text);
        access_log_add(conn->worker->log, &entry);
    }
    g_clear_pointer(&conn->log_text, g_free);
    reply_clear(&conn->reply);
    exchange_clear(&conn->exchange);
    g_clear_pointer(&conn->runtime, runtime_unref);
    conn->has_answered = true;
}

void
conn_begin_reading(Conn *conn)
{
    const Config *config = conn->worker->runtime->config;
    bool is_idle = conn->has_answered && conn->input_size == 0;

    conn->state = CONN_READING;
    conn->deadline_us = g_get_monotonic_time() +
                        (int64_t)(is_idle ? config->idle_timeout_ms : config->head_timeout_ms) * 1000;
}

static void
begin_ending(Conn *conn)
{
    conn->state = CONN_ENDING;
    conn->window_bytes = 0;
    conn_drop_input(conn, conn->input_size);
    conn->deadline_us = g_get_monotonic_time() + LINGER_US;
}

static void
begin_sending(Conn *conn)
{
    conn->state = CONN_SENDING;
    if (conn->reply.is_out_of_files)
        conn_count(conn, COUNT_LIMIT_FILES);
}

void
conn_begin_status(Conn *conn, int status)
{
    conn->started_us = g_get_monotonic_time();
    conn->note = (RequestNote){.method = HTTP_OTHER};
    conn->request_deadline_us = conn->started_us + (int64_t)conn_config(conn)->request_timeout_ms * 1000;
    conn->state = CONN_SENDING;
    reply_begin_status(&conn->reply, status);
}

void
conn_begin_window(Conn *conn)
{
    conn->window_bytes = 0;
    conn->deadline_us = g_get_monotonic_time() + (int64_t)conn_config(conn)->body_timeout_ms * 1000;
}

static Step
step_handshake(Conn *conn)
{
    TransportResult result = transport_handshake(&conn->transport);

    switch (result) {
    case TRANSPORT_OK:
        conn_count(conn, COUNT_TLS_HANDSHAKES);
        if (tls_is_resumed(conn->transport.tls))
            conn_count(conn, COUNT_TLS_RESUMED);
        if (tls_is_kernel(conn->transport.tls))
            conn_count(conn, COUNT_TLS_KERNEL);
        conn_begin_reading(conn);
        return STEP_AGAIN;
    case TRANSPORT_WANT_READ:
        return STEP_WAIT_READ;
    case TRANSPORT_WANT_WRITE:
        return STEP_WAIT_WRITE;
    case TRANSPORT_CLOSED:
    case TRANSPORT_FAILED:
        conn_count(conn, COUNT_TLS_FAILURES);
        return STEP_CLOSE;
    }
    g_assert_not_reached();
}

/* complete: the request is here as a whole. */
static Step
complete(Conn *conn)
{
    conn->is_complete = true;
    if (conn->exchange.kind->complete(conn->exchange.self, &conn->reply)) {
        begin_sending(conn);
        return STEP_AGAIN;
    }
    conn->state = CONN_WORKING;
    return STEP_WAIT_JOB;
}

/* cut_body: the answer came before the end of the body, so what follows is not a request. */
static Step
cut_body(Conn *conn)
{
    conn->reply.response.should_close |= conn->has_body;
    begin_sending(conn);
    if (conn->has_body)
        conn_drop_input(conn, conn->input_size);
    return STEP_AGAIN;
}

/* follow: what an exchange wants before its body is complete. */
static Step
follow(Conn *conn, ExchangeStep wish)
{
    switch (wish) {
    case EXCHANGE_MORE:
        return STEP_AGAIN;
    case EXCHANGE_WORK:
        conn->state = CONN_WORKING;
        return STEP_WAIT_JOB;
    case EXCHANGE_ANSWER:
        return cut_body(conn);
    }
    g_assert_not_reached();
}

void
conn_resume(Conn *conn)
{
    const ExchangeKind *kind = conn->exchange.kind;

    if (conn->is_complete) {
        kind->answer(conn->exchange.self, &conn->reply);
        begin_sending(conn);
    } else if (!kind->resume(conn->exchange.self, &conn->reply)) {
        cut_body(conn);
    } else if (conn->body.total == 0) {
        conn->state = CONN_BEGINNING;
    } else {
        conn->state = CONN_RECEIVING;
        conn_begin_window(conn);
    }
}

/* Whether the client may ask now; else the answer that says when. */
static bool
take_request(Conn *conn, const HttpRequest *request)
{
    const Config *config = conn->runtime->config;
    int64_t wait_us =
        limit_take_request(conn->client, config->client_requests, config->client_burst, conn->started_us);

    if (wait_us == 0)
        return true;
    conn_count(conn, COUNT_LIMIT_REQUESTS);
    reply_begin_later(&conn->reply, request, (unsigned)((wait_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC),
                      request->should_close || request->has_body || conn->worker->is_stopping);
    return false;
}

static Step
begin_request(Conn *conn, const HttpRequest *request)
{
    const RouteFacts facts = {
        .worker = conn->worker,
        .runtime = conn->worker->runtime,
        .peer = &conn->peer,
        .certificate = conn->transport.tls != NULL ? tls_client(conn->transport.tls) : NULL,
        .note = &conn->note,
        .is_tls = conn->transport.tls != NULL,
        .should_close = request->should_close || conn->worker->is_stopping,
    };

    conn->runtime = runtime_ref(conn->worker->runtime);
    conn->request_deadline_us = conn->started_us + (int64_t)conn->runtime->config->request_timeout_ms * 1000;
    if (take_request(conn, request))
        route_request(&facts, request, &conn->reply, &conn->exchange);
    conn_drop_input(conn, request->size);
    if (conn->exchange.kind == NULL) {
        /* A body that nobody reads would be taken for the next request. */
        conn->reply.response.should_close |= request->has_body;
        begin_sending(conn);
        return STEP_AGAIN;
    }
    http_body_init(&conn->body, request);
    conn->has_body = request->has_body;
    conn->must_grant = request->has_expect && conn->input_size == 0;
    conn->granted = 0;
    conn->is_complete = false;
    conn->state = CONN_BEGINNING;
    if (conn->exchange.kind->begin == NULL)
        return STEP_AGAIN;
    return follow(conn, conn->exchange.kind->begin(conn->exchange.self, &conn->reply));
}

static Step
step_beginning(Conn *conn)
{
    if (!conn->has_body)
        return complete(conn);
    conn->state = conn->must_grant ? CONN_GRANTING : CONN_RECEIVING;
    conn_begin_window(conn);
    return STEP_AGAIN;
}

static Step
step_reading(Conn *conn)
{
    static _Thread_local HttpRequest
        request; /* 4 KiB that the hardened build would clear on a stack each time */
    HttpVerdict verdict = HTTP_PARTIAL;

    if (conn->input_size > 0)
        verdict = http_request_parse(conn->input, conn->input_size, &request);
    else
        conn_drop_input(conn, 0);
    if (verdict == HTTP_PARTIAL)
        return STEP_WAIT_READ;
    conn->started_us = g_get_monotonic_time();
    conn->note = (RequestNote){.method = request.method};
    if (conn->worker->log != NULL && request.target.at != NULL)
        conn->log_text = access_text_new(&request);
    if (verdict == HTTP_COMPLETE)
        return begin_request(conn, &request);
    conn->request_deadline_us = conn->started_us + (int64_t)conn_config(conn)->request_timeout_ms * 1000;
    reply_begin_refusal(&conn->reply, &request, request.refusal, true);
    conn_drop_input(conn, conn->input_size);
    begin_sending(conn);
    return STEP_AGAIN;
}

static Step
wait_for(TransportResult result)
{
    switch (result) {
    case TRANSPORT_OK:
        return STEP_AGAIN;
    case TRANSPORT_WANT_READ:
        return STEP_WAIT_READ;
    case TRANSPORT_WANT_WRITE:
        return STEP_WAIT_WRITE;
    case TRANSPORT_CLOSED:
    case TRANSPORT_FAILED:
        return STEP_CLOSE;
    }
    g_assert_not_reached();
}

static Step
step_granting(Conn *conn)
{
    const size_t length = sizeof GO_ON - 1;
    TransportResult result = TRANSPORT_OK;
    size_t sent = 0;

    if (conn->granted < length)
        result =
            transport_send(&conn->transport, GO_ON + conn->granted, length - conn->granted, false, &sent);
    conn->granted += sent;
    if (result == TRANSPORT_OK && conn->granted == length) {
        result = transport_flush(&conn->transport);
        if (result == TRANSPORT_OK)
            conn->state = CONN_RECEIVING;
    }
    return wait_for(result);
}

static Step
receive_piece(Conn *conn, HttpText piece, size_t used)
{
    const uint64_t per_second = conn->runtime->config->client_bytes;
    ExchangeStep wish;

    if (conn->exchange.kind->receive == NULL) {
        reply_begin_status(&conn->reply, 413);
        return cut_body(conn);
    }
    wish = conn->exchange.kind->receive(conn->exchange.self, piece.at, piece.length, &conn->reply);
    if (per_second > 0)
        conn->pause_us = limit_take_bytes(conn->client, per_second, piece.length, g_get_monotonic_time());
    if (wish != EXCHANGE_ANSWER)
        conn_drop_input(conn, used);
    return follow(conn, wish);
}

static Step
step_receiving(Conn *conn)
{
    HttpText piece;
    size_t used = 0;
    HttpBodyVerdict verdict;

    if (conn->pause_us > 0)
        return STEP_PAUSE;
    verdict = http_body_read(&conn->body, conn->input, conn->input_size, &used, &piece);
    switch (verdict) {
    case BODY_DATA:
        return receive_piece(conn, piece, used);
    case BODY_MORE:
        conn_drop_input(conn, used);
        return STEP_WAIT_READ;
    case BODY_BAD:
        reply_begin_status(&conn->reply, 400);
        return cut_body(conn);
    case BODY_DONE:
        conn->state = CONN_READING; /* only for conn_drop_input(): an empty buffer goes now */
        conn_drop_input(conn, used);
        return complete(conn);
    }
    g_assert_not_reached();
}

static Step
end_sending(Conn *conn)
{
    conn_end_reply(conn);
    if (conn->reply.response.should_close || conn->worker->is_stopping)
        begin_ending(conn);
    else
        conn_begin_reading(conn);
    /* A second request in one turn can have been sent after the turn began. */
    if (conn->input_size > 0 || transport_has_pending(&conn->transport))
        file_cache_look_again(conn->worker->files);
    return STEP_AGAIN;
}

static Step
step_sending(Conn *conn)
{
    const uint64_t per_second = conn_config(conn)->client_bytes;
    const uint64_t before = conn->reply.body_sent;
    ReplyProgress progress =
        reply_send(&conn->reply, &conn->transport, per_second == 0 ? REPLY_MAX_WINDOW : LIMITED_WINDOW);

    conn->turn_bytes += conn->reply.body_sent - before;
    if (per_second > 0 && conn->reply.body_sent > before)
        conn->pause_us = limit_take_bytes(conn->client, per_second, conn->reply.body_sent - before,
                                          g_get_monotonic_time());
    switch (progress) {
    case REPLY_MORE:
        return conn->pause_us > 0 ? STEP_PAUSE : STEP_AGAIN;
    case REPLY_WANT_READ:
        return STEP_WAIT_READ;
    case REPLY_WANT_WRITE:
        return conn->pause_us > 0 ? STEP_PAUSE : STEP_WAIT_WRITE;
    case REPLY_COLD:
        conn_count(conn, COUNT_COLD_READS);
        conn->state = CONN_WARMING;
        return STEP_WAIT_JOB;
    case REPLY_FAILED:
        return STEP_CLOSE;
    case REPLY_DONE:
        return end_sending(conn);
    }
    g_assert_not_reached();
}

static Step
step_ending(Conn *conn)
{
    TransportResult result = transport_end(&conn->transport);

    if (result == TRANSPORT_OK)
        conn->state = CONN_LINGERING;
    return wait_for(result);
}

/* Swallow some of what the client still sends; its end of file ends the connection. */
static Step
step_lingering(Conn *conn)
{
    size_t n = 0;
    TransportResult result = transport_discard(&conn->transport, &n);

    conn->window_bytes += n;
    if (conn->window_bytes > LINGER_BYTES)
        return STEP_CLOSE;
    return result == TRANSPORT_OK ? STEP_WAIT_READ : wait_for(result);
}

Step
conn_step(Conn *conn)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
        return step_handshake(conn);
    case CONN_READING:
        return step_reading(conn);
    case CONN_BEGINNING:
        return step_beginning(conn);
    case CONN_GRANTING:
        return step_granting(conn);
    case CONN_RECEIVING:
        return step_receiving(conn);
    case CONN_SENDING:
        return step_sending(conn);
    case CONN_ENDING:
        return step_ending(conn);
    case CONN_LINGERING:
        return step_lingering(conn);
    case CONN_WORKING:
    case CONN_WARMING:
        break;
    }
    g_assert_not_reached();
}
