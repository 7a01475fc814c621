// SPDX-License-Identifier: Apache-2.0
/*
 * The state machine of a connection: read a head, answer it, again. While it answers it does not read: the kernel
 * then slows a client down that sends requests faster than it takes answers. Memory is about 2 KiB, and one fixed
 * buffer while there is input.
 */
#include "repod/conn.h"
#include "repod/reply.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

/* Steps of one connection before others get their turn: at most 8 MiB, a few milliseconds. */
#define STEPS_PER_TURN 8
/* After the last answer: how long to swallow what the client still sends. Closing at once would make the kernel
 * reset the connection, and the client may lose the answer with it (RFC 9112, 9.6). */
static const struct timeval linger_time = {.tv_sec = 2};

typedef enum { CONN_READING, CONN_SENDING, CONN_LINGERING } ConnState;

typedef enum { STEP_AGAIN, STEP_WAIT_READ, STEP_WAIT_WRITE, STEP_CLOSE } Step;

struct Conn {
    GList link;
    Worker *worker;
    struct event *readable;
    struct event *writable;
    Fd fd;
    Peer peer;
    ConnState state;
    bool has_answered; /* any request yet */
    char *input;       /* HTTP_MAX_HEAD bytes; NULL while there is nothing in it */
    size_t input_size;
    struct timeval read_deadline; /* monotonic */
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
set_deadline(Conn *conn, const struct timeval *timeout)
{
    struct timeval now = monotonic_now();

    evutil_timeradd(&now, timeout, &conn->read_deadline);
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
    conn->has_answered = true;
}

bool
conn_is_sending(const Conn *conn)
{
    return conn->state == CONN_SENDING;
}

void
conn_free(Conn *conn)
{
    if (conn_is_sending(conn))
        end_reply(conn);
    /* Events first: epoll must not meet the number of a closed descriptor again as another socket. */
    event_free(conn->readable);
    event_free(conn->writable);
    fd_close(conn->fd);
    g_queue_unlink(&conn->worker->connections, &conn->link);
    atomic_fetch_sub(&conn->worker->shared->n_connections, 1);
    g_free(conn->input);
    g_free(conn);
}

static void
drop_input(Conn *conn, size_t size)
{
    conn->input_size -= size;
    if (conn->input_size == 0)
        g_clear_pointer(&conn->input, g_free);
    else
        memmove(conn->input, conn->input + size, conn->input_size);
}

static void
begin_reading(Conn *conn)
{
    const Shared *shared = conn->worker->shared;

    conn->state = CONN_READING;
    set_deadline(conn,
                 conn->has_answered && conn->input_size == 0 ? &shared->idle_timeout : &shared->head_timeout);
}

static void
begin_lingering(Conn *conn)
{
    conn->state = CONN_LINGERING;
    drop_input(conn, conn->input_size);
    set_deadline(conn, &linger_time);
    shutdown(conn->fd, SHUT_WR);
}

static void
begin_status(Conn *conn, int status)
{
    conn->started_us = g_get_monotonic_time();
    conn->state = CONN_SENDING;
    reply_begin_status(&conn->reply, status);
}

static Step
step_reading(Conn *conn)
{
    Worker *worker = conn->worker;
    HttpRequest request;
    HttpVerdict verdict = HTTP_PARTIAL;

    if (conn->input_size > 0)
        verdict = http_request_parse(conn->input, conn->input_size, &request);
    else
        drop_input(conn, 0);
    if (verdict == HTTP_PARTIAL)
        return STEP_WAIT_READ;
    conn->started_us = g_get_monotonic_time();
    if (worker->log != NULL && request.target.at != NULL)
        conn->request_text =
            g_strdup_printf("%.*s %.*s", (int)request.method_name.length, request.method_name.at,
                            (int)request.target.length, request.target.at);
    conn->state = CONN_SENDING;
    reply_begin(&conn->reply, &request, worker->shared->root_fd,
                request.should_close || request.has_body || worker->is_stopping);
    drop_input(conn, verdict == HTTP_COMPLETE ? request.size : conn->input_size);
    return STEP_AGAIN;
}

static Step
step_sending(Conn *conn)
{
    switch (reply_send(&conn->reply, conn->fd)) {
    case REPLY_MORE:
        return STEP_AGAIN;
    case REPLY_BLOCKED:
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
    ssize_t n = recv(conn->fd, ignored, sizeof ignored, 0);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) ? STEP_WAIT_READ : STEP_CLOSE;
}

static Step
step(Conn *conn)
{
    switch (conn->state) {
    case CONN_READING:
        return step_reading(conn);
    case CONN_SENDING:
        return step_sending(conn);
    case CONN_LINGERING:
        return step_lingering(conn);
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
    if (ioctl(conn->fd, SIOCOUTQ, &conn->queued) < 0)
        conn->queued = 0;
    event_del(conn->readable);
    if (event_add(conn->writable, &conn->worker->shared->write_timeout) < 0)
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
    ssize_t n;

    if (conn->input == NULL)
        conn->input = g_malloc(HTTP_MAX_HEAD);
    n = recv(conn->fd, conn->input + conn->input_size, HTTP_MAX_HEAD - conn->input_size, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_free(conn);
        return;
    }
    if (n > 0 && conn->input_size == 0 && conn->has_answered)
        set_deadline(conn, &conn->worker->shared->head_timeout);
    conn->input_size += n > 0 ? (size_t)n : 0;
    run(conn);
}

static void
on_readable(G_GNUC_UNUSED evutil_socket_t fd, short what, void *data)
{
    Conn *conn = data;

    if ((what & EV_READ) != 0 && conn->state == CONN_READING) {
        receive(conn);
    } else if ((what & EV_READ) != 0) {
        run(conn);
    } else if (conn->state == CONN_LINGERING || conn->input_size == 0) {
        conn_free(conn);
    } else {
        drop_input(conn, conn->input_size);
        begin_status(conn, 408);
        run(conn);
    }
}

/* A socket becomes writable only when a third of its buffer is free. A slow client may need longer than the time
 * limit for that, so what counts is whether it has taken anything. */
static bool
has_progressed(const Conn *conn)
{
    int queued;

    return ioctl(conn->fd, SIOCOUTQ, &queued) == 0 && queued < conn->queued;
}

static void
on_writable(G_GNUC_UNUSED evutil_socket_t fd, short what, void *data)
{
    Conn *conn = data;

    if ((what & EV_WRITE) != 0)
        run(conn);
    else if (has_progressed(conn))
        wait_writable(conn);
    else
        conn_free(conn);
}

void
conn_start(Worker *worker, int fd, const Peer *peer, bool is_refused)
{
    Conn *conn = g_new0(Conn, 1);

    conn->link.data = conn;
    conn->worker = worker;
    conn->fd = fd;
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

    if (conn->state == CONN_READING && conn->input_size == 0 && recv(conn->fd, &byte, 1, MSG_PEEK) <= 0)
        conn_free(conn);
}
