// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a connection: its events, its time limits and its end. While it answers it does not read: the kernel then slows a
 * client down that sends requests faster than it takes answers. Memory is about 2 KiB, and one fixed buffer while there is
 * input. What each state does is in conn_steps.c.
 */
#include "repod/conn_state.h"

#include <errno.h>
#include <unistd.h>

/* What one connection does before others get their turn: a millisecond's worth, so that hundreds of fast downloads do not keep
 * anybody waiting for long. */
#define STEPS_PER_TURN 16
#define BYTES_PER_TURN (1024 * 1024)

static void run(Conn *conn);

bool
conn_is_busy(const Conn *conn)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
    case CONN_READING:
    case CONN_ENDING:
    case CONN_LINGERING:
        return false;
    default:
        return true;
    }
}

void
conn_free(Conn *conn)
{
    Shared *shared = conn->worker->shared;

    g_assert(conn->state != CONN_WORKING && conn->state != CONN_WARMING);
    if (conn->state == CONN_SENDING)
        conn_end_reply(conn);
    exchange_clear(&conn->exchange);
    runtime_unref(conn->runtime);
    g_free(conn->log_text);
    /* Events first: epoll must not meet the number of a closed descriptor again as another socket. */
    event_free(conn->readable);
    event_free(conn->writable);
    if (conn->pause != NULL)
        event_free(conn->pause);
    transport_clear(&conn->transport);
    limit_leave(shared->clients, conn->client, g_get_monotonic_time());
    g_queue_unlink(&conn->worker->connections, &conn->link);
    atomic_fetch_sub(&shared->n_connections, 1);
    if (conn->is_refused)
        atomic_fetch_sub(&shared->n_refused, 1);
    g_free(conn->input);
    g_free(conn);
}

static void
run_job(void *data)
{
    Conn *conn = data;
    /* The connection may be gone as soon as its loop has read its pointer. */
    const int done = conn->worker->done_write;

    if (conn->state == CONN_WARMING)
        reply_warm(&conn->reply);
    else
        conn->exchange.kind->work(conn->exchange.self);
    while (write(done, &conn, sizeof conn) < 0 && errno == EINTR)
        ;
}

static void
begin_job(Conn *conn)
{
    Shared *shared = conn->worker->shared;

    conn->worker->n_working++;
    event_del(conn->readable);
    event_del(conn->writable);
    pool_queue_push(conn->state == CONN_WARMING ? shared->jobs : shared->exchanges, run_job, conn);
}

static void
on_pause(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    run(data);
}

static void
begin_pause(Conn *conn)
{
    const struct timeval span = worker_time_us(conn->pause_us);

    conn_count(conn, COUNT_LIMIT_BYTES);
    conn->pause_us = 0;
    event_del(conn->readable);
    event_del(conn->writable);
    if (conn->pause == NULL)
        conn->pause = evtimer_new(conn->worker->base, on_pause, conn);
    g_assert(conn->pause != NULL);
    if (event_add(conn->pause, &span) < 0)
        conn_free(conn);
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

/* Whether enough of the body came in time. A body has to come at the least rate on average over every window. */
static bool
has_kept_rate(const Conn *conn)
{
    const Config *config = conn_config(conn);
    const uint64_t least = config->min_body_rate * config->body_timeout_ms / 1000;

    return conn->window_bytes >= MAX(least, 1) && g_get_monotonic_time() < conn->request_deadline_us;
}

static void
refuse(Conn *conn, Count count)
{
    conn_count(conn, count);
    conn_drop_input(conn, conn->input_size);
    conn_begin_status(conn, 408);
    run(conn);
}

/* The client has not sent what it should have by now. */
static void
expire(Conn *conn)
{
    switch (conn->state) {
    case CONN_READING:
        if (conn->input_size > 0) {
            refuse(conn, COUNT_LIMIT_HEAD_TIME);
            return;
        }
        break;
    case CONN_RECEIVING:
        if (has_kept_rate(conn)) {
            conn_begin_window(conn);
            run(conn);
        } else {
            refuse(conn, g_get_monotonic_time() < conn->request_deadline_us ? COUNT_LIMIT_BODY_RATE
                                                                            : COUNT_LIMIT_REQUEST_TIME);
        }
        return;
    case CONN_HANDSHAKE:
        conn_count(conn, COUNT_LIMIT_TLS_TIME);
        break;
    default:
        break;
    }
    conn_free(conn);
}

static void
wait_readable(Conn *conn)
{
    const int64_t left = conn->deadline_us - g_get_monotonic_time();
    const struct timeval span = worker_time_us(left);

    /* Not left to the timer: bytes that keep coming would always be there before it. */
    if (left <= 0) {
        expire(conn);
        return;
    }
    event_del(conn->writable);
    if (event_add(conn->readable, &span) < 0)
        conn_free(conn);
    else if (transport_has_pending(&conn->transport))
        event_active(conn->readable, EV_READ, 1);
}

static void
wait_writable(Conn *conn)
{
    const int64_t now = g_get_monotonic_time();
    const bool is_answer = conn->state == CONN_SENDING;
    int64_t left = (int64_t)conn_config(conn)->write_timeout_ms * 1000;
    struct timeval span;

    /* Who takes an answer byte by byte is within the other limit for ever. */
    if (is_answer)
        left = MIN(left, conn->request_deadline_us - now);
    if (left <= 0) {
        conn_count(conn, COUNT_LIMIT_REQUEST_TIME);
        conn_free(conn);
        return;
    }
    span = worker_time_us(left);
    conn->queued = transport_queued(&conn->transport);
    event_del(conn->readable);
    if (event_add(conn->writable, &span) < 0)
        conn_free(conn);
}

/* Go on until the connection has to wait, or has had its share of this turn. */
static void
run(Conn *conn)
{
    conn->turn_bytes = 0;
    reply_begin_turn(&conn->reply);
    for (int i = 0; i < STEPS_PER_TURN && conn->turn_bytes < BYTES_PER_TURN; i++) {
        switch (conn_step(conn)) {
        case STEP_AGAIN:
            break;
        case STEP_WAIT_READ:
            wait_readable(conn);
            return;
        case STEP_WAIT_WRITE:
            wait_writable(conn);
            return;
        case STEP_WAIT_JOB:
            begin_job(conn);
            return;
        case STEP_PAUSE:
            begin_pause(conn);
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
    size_t n = 0;
    TransportResult result;

    make_room(conn, conn->state == CONN_RECEIVING ? EXCHANGE_MAX_PIECE : HTTP_MAX_HEAD);
    result = transport_receive(&conn->transport, conn->input + conn->input_size,
                               conn->input_capacity - conn->input_size, &n);
    if (result == TRANSPORT_CLOSED || result == TRANSPORT_FAILED) {
        conn_free(conn);
        return;
    }
    if (conn->state == CONN_RECEIVING)
        conn->window_bytes += n;
    else if (n > 0 && conn->input_size == 0 && conn->has_answered)
        conn->deadline_us = g_get_monotonic_time() + (int64_t)conn_config(conn)->head_timeout_ms * 1000;
    conn->input_size += n;
    run(conn);
}

static void
on_readable(G_GNUC_UNUSED evutil_socket_t fd, short what, void *data)
{
    Conn *conn = data;

    if ((what & EV_READ) == 0)
        expire(conn);
    else if (conn->state == CONN_READING || conn->state == CONN_RECEIVING)
        receive(conn);
    else
        run(conn);
}

static void
on_writable(G_GNUC_UNUSED evutil_socket_t fd, short what, void *data)
{
    Conn *conn = data;

    /* A socket becomes writable only when a third of its buffer is free. A slow client may need longer than the time
     * limit for that, so what counts is whether it has taken anything. */
    if ((what & EV_WRITE) != 0) {
        run(conn);
    } else if (conn->state != CONN_SENDING) {
        expire(conn);
    } else if (transport_queued(&conn->transport) < conn->queued ||
               g_get_monotonic_time() >= conn->request_deadline_us) {
        wait_writable(conn);
    } else {
        conn_count(conn, COUNT_LIMIT_WRITE_TIME);
        conn_free(conn);
    }
}

void
conn_work_done(Conn *conn)
{
    if (conn->state == CONN_WORKING)
        conn_resume(conn);
    else
        conn->state = CONN_SENDING;
    run(conn);
}

void
conn_start(Worker *worker, int fd, const Peer *peer, TlsContext *tls, LimitClient *client, int refusal)
{
    Conn *conn = g_new0(Conn, 1);

    conn->link.data = conn;
    conn->worker = worker;
    conn->client = client;
    transport_init(&conn->transport, fd, tls);
    conn->peer = *peer;
    g_queue_push_tail_link(&worker->connections, &conn->link);
    atomic_fetch_add(&worker->shared->n_connections, 1);
    conn->readable = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    conn->writable = event_new(worker->base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
    g_assert(conn->readable != NULL && conn->writable != NULL);
    conn_begin_reading(conn);
    if (tls != NULL) {
        conn->state = CONN_HANDSHAKE;
        conn->deadline_us = g_get_monotonic_time() + (int64_t)worker->runtime->config->tls_timeout_ms * 1000;
    }
    if (refusal != 0) {
        conn->is_refused = true;
        atomic_fetch_add(&worker->shared->n_refused, 1);
        conn_begin_status(conn, refusal);
    }
    run(conn);
}

void
conn_stop(Conn *conn)
{
    bool is_idle = conn->state == CONN_READING && conn->input_size == 0;
    bool is_new = conn->state == CONN_HANDSHAKE && !tls_has_begun(conn->transport.tls);

    if ((is_idle || is_new) && transport_is_silent(&conn->transport))
        conn_free(conn);
}
