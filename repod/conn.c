// SPDX-License-Identifier: Apache-2.0
/*
 * The state machine of a connection: read a head, take its body, do its work, answer it, again. While it answers it does
 * not read: the kernel then slows a client down that sends requests faster than it takes answers. Memory is about 2 KiB,
 * and one fixed buffer while there is input.
 */
#include "repod/conn.h"
#include "repod/http_body.h"
#include "repod/route.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Steps of one connection before others get their turn: at most 8 MiB, a few milliseconds. */
#define STEPS_PER_TURN 8
/* For bodies: few system calls, and still little memory for a thousand uploads. */
#define BODY_BUFFER (64 * 1024)
/* After the last answer: how long to swallow what the client still sends. Closing at once would make the kernel
 * reset the connection, and the client may lose the answer with it (RFC 9112, 9.6). */
#define LINGER_MS 2000
static const char GO_ON[] = "HTTP/1.1 100 Continue\r\n\r\n";

typedef enum {
    CONN_READING,   /* a head */
    CONN_GRANTING,  /* sending 100 (Continue) */
    CONN_RECEIVING, /* a body */
    CONN_WORKING,   /* the pool has it; no event is watched */
    CONN_SENDING,
    CONN_LINGERING,
} ConnState;

typedef enum { STEP_AGAIN, STEP_WAIT_READ, STEP_WAIT_WRITE, STEP_WAIT_JOB, STEP_CLOSE } Step;

struct Conn {
    GList link;
    Worker *worker;
    struct event *readable;
    struct event *writable;
    Transport transport;
    Peer peer;
    ConnState state;
    bool has_answered; /* any request yet */
    char *input;       /* NULL while there is nothing in it */
    size_t input_size, input_capacity;
    struct timeval read_deadline; /* monotonic */
    Runtime *runtime;             /* of the request; NULL between two */
    Exchange exchange;
    HttpBody body;
    size_t granted; /* bytes of GO_ON that were sent */
    Reply reply;
    int queued;         /* bytes in the kernel that the client had not taken when waiting began */
    char *request_text; /* for the log */
    int64_t started_us;
};

static struct timeval
monotonic_now(void)
{
    int64_t now = g_get_monotonic_time();

    return (struct timeval){.tv_sec = now / G_USEC_PER_SEC, .tv_usec = now % G_USEC_PER_SEC};
}

static void
set_deadline(Conn *conn, unsigned milliseconds)
{
    const struct timeval now = monotonic_now(), span = worker_time(milliseconds);

    evutil_timeradd(&now, &span, &conn->read_deadline);
}

static void
end_reply(Conn *conn)
{
    AccessEntry entry = {
        .peer = &conn->peer,
        .request = conn->request_text,
        .status = conn->reply.response.status,
        .body_bytes = conn->reply.body_sent,
        .duration_us = g_get_monotonic_time() - conn->started_us,
        .now_us = g_get_real_time(),
    };

    if (conn->worker->log != NULL)
        access_log_add(conn->worker->log, &entry);
    g_clear_pointer(&conn->request_text, g_free);
    reply_clear(&conn->reply);
    exchange_clear(&conn->exchange);
    g_clear_pointer(&conn->runtime, runtime_unref);
    conn->has_answered = true;
}

bool
conn_is_busy(const Conn *conn)
{
    return conn->state != CONN_READING && conn->state != CONN_LINGERING;
}

void
conn_free(Conn *conn)
{
    g_assert(conn->state != CONN_WORKING);
    if (conn->state == CONN_SENDING)
        end_reply(conn);
    exchange_clear(&conn->exchange);
    runtime_unref(conn->runtime);
    g_free(conn->request_text);
    /* Events first: epoll must not meet the number of a closed descriptor again as another socket. */
    event_free(conn->readable);
    event_free(conn->writable);
    transport_clear(&conn->transport);
    g_queue_unlink(&conn->worker->connections, &conn->link);
    atomic_fetch_sub(&conn->worker->shared->n_connections, 1);
    g_free(conn->input);
    g_free(conn);
}

/* drop_input: forget the first @size bytes. An empty buffer goes, so that idle connections are small. */
static void
drop_input(Conn *conn, size_t size)
{
    conn->input_size -= size;
    if (conn->input_size > 0)
        memmove(conn->input, conn->input + size, conn->input_size);
    else if (conn->state != CONN_RECEIVING)
        g_clear_pointer(&conn->input, g_free);
}

/* make_room: for heads or, larger, for bodies. */
static void
make_room(Conn *conn, size_t capacity)
{
    if (conn->input != NULL && conn->input_capacity >= capacity)
        return;
    conn->input = g_realloc(conn->input, capacity);
    conn->input_capacity = capacity;
}

static void
begin_reading(Conn *conn)
{
    const Config *config = conn->worker->runtime->config;

    conn->state = CONN_READING;
    set_deadline(conn, conn->has_answered && conn->input_size == 0 ? config->idle_timeout_ms
                                                                   : config->head_timeout_ms);
}

static void
begin_lingering(Conn *conn)
{
    conn->state = CONN_LINGERING;
    drop_input(conn, conn->input_size);
    set_deadline(conn, LINGER_MS);
    transport_end(&conn->transport);
}

static void
begin_status(Conn *conn, int status)
{
    conn->started_us = g_get_monotonic_time();
    conn->state = CONN_SENDING;
    reply_begin_status(&conn->reply, status);
}

static void
run_job(void *data)
{
    Conn *conn = data;
    /* The connection may be gone as soon as its loop has read its pointer. */
    const int done = conn->worker->done_write;

    conn->exchange.kind->work(conn->exchange.self);
    while (write(done, &conn, sizeof conn) < 0 && errno == EINTR)
        ;
}

/* complete: the request is here as a whole. */
static Step
complete(Conn *conn)
{
    if (conn->exchange.kind->complete(conn->exchange.self, &conn->reply)) {
        conn->state = CONN_SENDING;
        return STEP_AGAIN;
    }
    conn->state = CONN_WORKING;
    conn->worker->n_working++;
    event_del(conn->readable);
    event_del(conn->writable);
    pool_queue_push(conn->worker->shared->jobs, run_job, conn);
    return STEP_WAIT_JOB;
}

static Step
begin_request(Conn *conn, const HttpRequest *request)
{
    const RouteFacts facts = {
        .worker = conn->worker,
        .runtime = conn->worker->runtime,
        .peer = &conn->peer,
        .should_close = request->should_close || conn->worker->is_stopping,
    };

    conn->runtime = runtime_ref(conn->worker->runtime);
    route_request(&facts, request, &conn->reply, &conn->exchange);
    drop_input(conn, request->size);
    if (conn->exchange.kind == NULL) {
        /* A body that nobody reads would be taken for the next request. */
        conn->reply.response.should_close |= request->has_body;
        conn->state = CONN_SENDING;
        return STEP_AGAIN;
    }
    if (!request->has_body)
        return complete(conn);
    http_body_init(&conn->body, request);
    conn->granted = 0;
    conn->state = request->has_expect && conn->input_size == 0 ? CONN_GRANTING : CONN_RECEIVING;
    set_deadline(conn, conn->runtime->config->body_timeout_ms);
    return STEP_AGAIN;
}

static Step
step_reading(Conn *conn)
{
    HttpRequest request;
    HttpVerdict verdict = HTTP_PARTIAL;

    if (conn->input_size > 0)
        verdict = http_request_parse(conn->input, conn->input_size, &request);
    else
        drop_input(conn, 0);
    if (verdict == HTTP_PARTIAL)
        return STEP_WAIT_READ;
    conn->started_us = g_get_monotonic_time();
    if (conn->worker->log != NULL && request.target.at != NULL)
        conn->request_text =
            g_strdup_printf("%.*s %.*s", (int)request.method_name.length, request.method_name.at,
                            (int)request.target.length, request.target.at);
    if (verdict == HTTP_COMPLETE)
        return begin_request(conn, &request);
    reply_begin_refusal(&conn->reply, &request, request.refusal, true);
    drop_input(conn, conn->input_size);
    conn->state = CONN_SENDING;
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
    size_t sent = 0;
    TransportResult result = transport_send(&conn->transport, GO_ON + conn->granted,
                                            sizeof GO_ON - 1 - conn->granted, false, &sent);

    conn->granted += sent;
    if (conn->granted == sizeof GO_ON - 1)
        conn->state = CONN_RECEIVING;
    return wait_for(result);
}

/* cut_body: the answer came before the end of the body, so what follows is not a request. */
static Step
cut_body(Conn *conn)
{
    conn->reply.response.should_close = true;
    conn->state = CONN_SENDING;
    drop_input(conn, conn->input_size);
    return STEP_AGAIN;
}

static Step
step_receiving(Conn *conn)
{
    HttpText piece;
    size_t used = 0;
    HttpBodyVerdict verdict = http_body_read(&conn->body, conn->input, conn->input_size, &used, &piece);

    switch (verdict) {
    case BODY_DATA:
        if (conn->exchange.kind->receive == NULL) {
            reply_begin_status(&conn->reply, 413);
            return cut_body(conn);
        }
        if (!conn->exchange.kind->receive(conn->exchange.self, piece.at, piece.length, &conn->reply))
            return cut_body(conn);
        drop_input(conn, used);
        return STEP_AGAIN;
    case BODY_MORE:
        drop_input(conn, used);
        return STEP_WAIT_READ;
    case BODY_BAD:
        reply_begin_status(&conn->reply, 400);
        return cut_body(conn);
    case BODY_DONE:
        conn->state = CONN_READING; /* only for drop_input(): an empty buffer goes now */
        drop_input(conn, used);
        return complete(conn);
    }
    g_assert_not_reached();
}

static Step
step_sending(Conn *conn)
{
    switch (reply_send(&conn->reply, &conn->transport)) {
    case REPLY_MORE:
        return STEP_AGAIN;
    case REPLY_WANT_READ:
        return STEP_WAIT_READ;
    case REPLY_WANT_WRITE:
        return STEP_WAIT_WRITE;
    case REPLY_FAILED:
        return STEP_CLOSE;
    case REPLY_DONE:
        break;
    }
    end_reply(conn);
    if (conn->reply.response.should_close || conn->worker->is_stopping)
        begin_lingering(conn);
    else
        begin_reading(conn);
    return STEP_AGAIN;
}

/* Swallow some of what the client still sends; its end of file ends the connection. */
static Step
step_lingering(Conn *conn)
{
    char ignored[HTTP_MAX_HEAD];
    size_t n;
    TransportResult result = transport_receive(&conn->transport, ignored, sizeof ignored, &n);

    return result == TRANSPORT_OK ? STEP_WAIT_READ : wait_for(result);
}

static Step
step(Conn *conn)
{
    switch (conn->state) {
    case CONN_READING:
        return step_reading(conn);
    case CONN_GRANTING:
        return step_granting(conn);
    case CONN_RECEIVING:
        return step_receiving(conn);
    case CONN_SENDING:
        return step_sending(conn);
    case CONN_LINGERING:
        return step_lingering(conn);
    case CONN_WORKING:
        break;
    }
    g_assert_not_reached();
}

static void
wait_readable(Conn *conn)
{
    struct timeval now = monotonic_now();
    struct timeval left = {0};

    if (evutil_timercmp(&conn->read_deadline, &now, >))
        evutil_timersub(&conn->read_deadline, &now, &left);
    event_del(conn->writable);
    if (event_add(conn->readable, &left) < 0)
        conn_free(conn);
}

static void
wait_writable(Conn *conn)
{
    const struct timeval span = worker_time(conn->worker->runtime->config->write_timeout_ms);

    conn->queued = transport_queued(&conn->transport);
    event_del(conn->readable);
    if (event_add(conn->writable, &span) < 0)
        conn_free(conn);
}

/* Go on until the connection has to wait, or has had its share of this turn. */
static void
run(Conn *conn)
{
    for (int i = 0; i < STEPS_PER_TURN; i++) {
        switch (step(conn)) {
        case STEP_AGAIN:
            break;
        case STEP_WAIT_READ:
            wait_readable(conn);
            return;
        case STEP_WAIT_WRITE:
            wait_writable(conn);
            return;
        case STEP_WAIT_JOB:
            return;
        case STEP_CLOSE:
            conn_free(conn);
            return;
        }
    }
    wait_writable(conn); /* it is writable already, so this means the next turn */
}

static void
receive(Conn *conn)
{
    const Config *config = conn->worker->runtime->config;
    size_t n = 0;
    TransportResult result;

    make_room(conn, conn->state == CONN_RECEIVING ? BODY_BUFFER : HTTP_MAX_HEAD);
    result = transport_receive(&conn->transport, conn->input + conn->input_size,
                               conn->input_capacity - conn->input_size, &n);
    if (result == TRANSPORT_CLOSED || result == TRANSPORT_FAILED) {
        conn_free(conn);
        return;
    }
    if (n > 0 && conn->state == CONN_RECEIVING)
        set_deadline(conn, config->body_timeout_ms);
    else if (n > 0 && conn->input_size == 0 && conn->has_answered)
        set_deadline(conn, config->head_timeout_ms);
    conn->input_size += n;
    run(conn);
}

static void
on_readable(G_GNUC_UNUSED evutil_socket_t fd, short what, void *data)
{
    Conn *conn = data;
    bool is_reading = conn->state == CONN_READING || conn->state == CONN_RECEIVING;

    if ((what & EV_READ) != 0 && is_reading) {
        receive(conn);
    } else if ((what & EV_READ) != 0) {
        run(conn);
    } else if (!is_reading || (conn->state == CONN_READING && conn->input_size == 0)) {
        conn_free(conn);
    } else {
        drop_input(conn, conn->input_size);
        begin_status(conn, 408);
        run(conn);
    }
}

static void
on_writable(G_GNUC_UNUSED evutil_socket_t fd, short what, void *data)
{
    Conn *conn = data;

    /* A socket becomes writable only when a third of its buffer is free. A slow client may need longer than the time
     * limit for that, so what counts is whether it has taken anything. */
    if ((what & EV_WRITE) != 0)
        run(conn);
    else if (transport_queued(&conn->transport) < conn->queued)
        wait_writable(conn);
    else
        conn_free(conn);
}

void
conn_work_done(Conn *conn)
{
    conn->exchange.kind->answer(conn->exchange.self, &conn->reply);
    conn->state = CONN_SENDING;
    run(conn);
}

void
conn_start(Worker *worker, int fd, const Peer *peer, bool is_refused)
{
    Conn *conn = g_new0(Conn, 1);

    conn->link.data = conn;
    conn->worker = worker;
    transport_init(&conn->transport, fd);
    conn->reply.file = -1;
    conn->peer = *peer;
    g_queue_push_tail_link(&worker->connections, &conn->link);
    atomic_fetch_add(&worker->shared->n_connections, 1);
    conn->readable = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    conn->writable = event_new(worker->base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
    g_assert(conn->readable != NULL && conn->writable != NULL);
    begin_reading(conn);
    if (is_refused)
        begin_status(conn, 503);
    run(conn);
}

void
conn_stop(Conn *conn)
{
    char byte;

    if (conn->state == CONN_READING && conn->input_size == 0 &&
        recv(conn->transport.fd, &byte, 1, MSG_PEEK) <= 0)
        conn_free(conn);
}
