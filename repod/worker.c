// SPDX-License-Identifier: Apache-2.0
/* The event loop of one thread: accepting, stopping, and what is done now and then. */
#include "repod/worker.h"
#include "repod/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* New connections per turn and listener, so that a flood of them does not starve the others. */
#define MAX_ACCEPTS 64
/* Over the limit this many connections still get a 503; more are closed unanswered. */
#define MAX_REFUSALS 64
/* How long not to accept after running out of descriptors or memory: the socket stays readable, and asking
 * again at once would spin. */
static const struct timeval accept_pause = {.tv_usec = 100 * 1000};

typedef struct {
    Worker *worker;
    int fd;
    bool is_tls;
    struct event *acceptable;
} Listener;

static void
listener_free(void *data)
{
    Listener *listener = data;

    if (listener->acceptable != NULL)
        event_free(listener->acceptable);
    fd_close(listener->fd);
    g_free(listener);
}

static bool
is_out_of_resources(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

static void
pause_accept(Worker *worker)
{
    for (guint i = 0; i < worker->listeners->len; i++)
        event_del(((Listener *)worker->listeners->pdata[i])->acceptable);
    file_cache_forget(worker->files);
    evtimer_add(worker->resume_accept, &accept_pause);
}

static void
on_resume_accept(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    Worker *worker = data;

    for (guint i = 0; i < worker->listeners->len; i++)
        event_add(((Listener *)worker->listeners->pdata[i])->acceptable, NULL);
}

/* An answer in the clear cannot be given over TLS, and is not worth a handshake. */
static void
refuse(const Listener *listener, int fd, const Peer *peer, Count limit)
{
    Shared *shared = listener->worker->shared;

    counters_add(&shared->counters, limit);
    if (listener->is_tls || atomic_load(&shared->n_refused) >= MAX_REFUSALS)
        close(fd);
    else
        conn_start(listener->worker, fd, peer, NULL, NULL, limit == COUNT_LIMIT_CONNECTIONS ? 503 : 429);
}

static void
admit(const Listener *listener, int fd, const Peer *peer)
{
    Worker *worker = listener->worker;
    Shared *shared = worker->shared;
    const Runtime *runtime = worker->runtime;
    LimitClient *client;

    counters_add(&shared->counters, COUNT_CONNECTIONS);
    if (atomic_load(&shared->n_connections) - atomic_load(&shared->n_refused) >=
        runtime->config->max_connections)
        refuse(listener, fd, peer, COUNT_LIMIT_CONNECTIONS);
    else if (!limit_enter(shared->clients, peer, runtime->config->max_client_connections,
                          g_get_monotonic_time(), &client))
        refuse(listener, fd, peer, COUNT_LIMIT_CLIENT_CONNECTIONS);
    else
        conn_start(worker, fd, peer, listener->is_tls ? runtime->tls : NULL, client, 0);
}

static void
accept_some(Listener *listener, unsigned max)
{
    for (unsigned i = 0; i < max; i++) {
        Peer peer = {0};
        socklen_t size = sizeof peer;
        int fd = accept4(listener->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            peer_unmap(&peer);
            admit(listener, fd, &peer);
        } else if (is_out_of_resources(errno)) {
            counters_add(&listener->worker->shared->counters, COUNT_LIMIT_FILES);
            pause_accept(listener->worker);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else: that one client has gone already (accept(2), "Error handling") */
    }
}

static void
on_acceptable(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    accept_some(data, MAX_ACCEPTS);
}

static void
finish_if_idle(Worker *worker)
{
    if (worker->is_stopping && g_queue_is_empty(&worker->connections))
        worker->is_done = true;
}

static void
stop_gracefully(Worker *worker)
{
    const struct timeval deadline = worker_time_us((int64_t)worker->runtime->config->stop_timeout_ms * 1000);
    GList *next;

    /* Who is in the queue has connected successfully, and would see a reset when the socket closes. */
    for (guint i = 0; i < worker->listeners->len; i++)
        accept_some(worker->listeners->pdata[i], SOMAXCONN);
    event_del(worker->resume_accept);
    g_ptr_array_set_size(worker->listeners, 0);
    worker->is_stopping = true;
    evtimer_add(worker->stop_deadline, &deadline);
    for (GList *at = worker->connections.head; at != NULL; at = next) {
        next = at->next;
        conn_stop(at->data);
    }
}

/* The log goes with the configuration: a reload opens it afresh, which is what rotating it needs. */
static void
take_runtime(Worker *worker)
{
    Runtime *old = worker->runtime;

    pthread_mutex_lock(&worker->shared->runtime_lock);
    worker->runtime = runtime_ref(worker->shared->runtime);
    pthread_mutex_unlock(&worker->shared->runtime_lock);
    if (worker->runtime != old) {
        file_cache_forget(worker->files);
        access_log_free(worker->log);
        worker->log = worker->runtime->access_log >= 0
                          ? access_log_new(worker->runtime->access_log, worker->runtime->config->is_log_json)
                          : NULL;
    }
    runtime_unref(old);
}

static void
on_wake(evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    Worker *worker = data;
    eventfd_t count;
    unsigned level = atomic_load(&worker->shared->stop_level);

    (void)eventfd_read(fd, &count);
    pthread_mutex_lock(&worker->shared->beat_lock);
    worker->n_beats++;
    pthread_cond_broadcast(&worker->shared->beat);
    pthread_mutex_unlock(&worker->shared->beat_lock);
    take_runtime(worker);
    if (level >= STOP_NOW)
        worker->is_done = true;
    else if (level == STOP_GRACEFULLY && !worker->is_stopping)
        stop_gracefully(worker);
}

/* The other end holds whole pointers: writes of up to PIPE_BUF bytes are not mixed (pipe(7)). */
static void
on_done(evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    Worker *worker = data;
    Conn *done[64];
    ssize_t n = read(fd, done, sizeof done);

    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof done[0]; i++) {
        worker->n_working--;
        conn_work_done(done[i]);
    }
}

static void
on_stop_deadline(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    ((Worker *)data)->is_done = true;
}

static void
on_forget_files(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    file_cache_forget(((Worker *)data)->files);
}

static void
on_flush_log(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    const Worker *worker = data;

    if (worker->log != NULL)
        access_log_flush(worker->log);
}

/* After each turn. A worker with nothing to do later has no timer, and sleeps. */
static void
set_timers(Worker *worker)
{
    static const struct timeval until_forgotten = {.tv_sec = FILE_CACHE_SECONDS};
    static const struct timeval until_flushed = {.tv_usec = ACCESS_LOG_DELAY_MS * 1000};

    if (!file_cache_is_empty(worker->files) && !evtimer_pending(worker->forget_files, NULL))
        evtimer_add(worker->forget_files, &until_forgotten);
    if (worker->log != NULL && !access_log_is_empty(worker->log) && !evtimer_pending(worker->flush_log, NULL))
        evtimer_add(worker->flush_log, &until_flushed);
}

static struct event_base *
new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    g_assert(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* The writing end blocks: a job that is done may wait for the loop, which never waits for a job. */
static bool
make_pipe(Worker *worker)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    worker->done_read = ends[0];
    worker->done_write = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

Worker *
worker_new(Shared *shared, GError **error)
{
    g_autoptr(Worker) worker = g_new0(Worker, 1);

    worker->shared = shared;
    worker->listeners = g_ptr_array_new_with_free_func(listener_free);
    g_queue_init(&worker->connections);
    worker->files = file_cache_new();
    take_runtime(worker);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->done_read = worker->done_write = -1;
    worker->base = new_base();
    if (worker->wake_fd < 0 || worker->base == NULL || !make_pipe(worker)) {
        error_set_errno(error, "cannot make an event loop");
        return NULL;
    }
    worker->wake = event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
    worker->resume_accept = evtimer_new(worker->base, on_resume_accept, worker);
    worker->stop_deadline = evtimer_new(worker->base, on_stop_deadline, worker);
    worker->forget_files = evtimer_new(worker->base, on_forget_files, worker);
    worker->flush_log = evtimer_new(worker->base, on_flush_log, worker);
    worker->done = event_new(worker->base, worker->done_read, EV_READ | EV_PERSIST, on_done, worker);
    g_assert(worker->wake != NULL && worker->done != NULL && worker->resume_accept != NULL &&
             worker->stop_deadline != NULL && worker->forget_files != NULL && worker->flush_log != NULL);
    if (event_add(worker->wake, NULL) < 0 || event_add(worker->done, NULL) < 0) {
        error_set(error, "cannot watch an event descriptor");
        return NULL;
    }
    return g_steal_pointer(&worker);
}

static void
free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

void
worker_free(Worker *worker)
{
    if (worker == NULL)
        return;
    while (!g_queue_is_empty(&worker->connections))
        conn_free(worker->connections.head->data);
    g_ptr_array_unref(worker->listeners);
    free_event(worker->wake);
    free_event(worker->done);
    free_event(worker->resume_accept);
    free_event(worker->stop_deadline);
    free_event(worker->forget_files);
    free_event(worker->flush_log);
    if (worker->base != NULL)
        event_base_free(worker->base);
    access_log_free(worker->log);
    file_cache_free(worker->files);
    runtime_unref(worker->runtime);
    fd_close(worker->wake_fd);
    fd_close(worker->done_read);
    fd_close(worker->done_write);
    g_free(worker);
}

bool
worker_add_listener(Worker *worker, int fd, bool is_tls, GError **error)
{
    Listener *listener = g_new0(Listener, 1);

    listener->worker = worker;
    listener->fd = fd;
    listener->is_tls = is_tls;
    g_ptr_array_add(worker->listeners, listener);
    listener->acceptable = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    if (listener->acceptable == NULL || event_add(listener->acceptable, NULL) < 0)
        return error_set(error, "cannot watch a listening socket");
    return true;
}

bool
worker_listen(Worker *worker, GError **error)
{
    for (guint i = 0; i < worker->listeners->len; i++)
        if (listen(((Listener *)worker->listeners->pdata[i])->fd, SOMAXCONN) < 0)
            return error_set_errno(error, "cannot listen");
    return true;
}

/* A job may still use its connection. */
static void
await_jobs(Worker *worker)
{
    while (worker->n_working > 0) {
        struct pollfd ready = {.fd = worker->done_read, .events = POLLIN};

        if (poll(&ready, 1, -1) > 0)
            on_done(worker->done_read, EV_READ, worker);
    }
}

bool
worker_run(Worker *worker, GError **error)
{
    while (!worker->is_done) {
        if (event_base_loop(worker->base, EVLOOP_ONCE) < 0)
            return error_set(error, "the event loop failed");
        file_cache_look_again(worker->files);
        set_timers(worker);
        finish_if_idle(worker);
    }
    await_jobs(worker);
    while (!g_queue_is_empty(&worker->connections)) {
        Conn *conn = worker->connections.head->data;

        worker->n_cut += conn_is_busy(conn) ? 1 : 0;
        conn_free(conn);
    }
    return true;
}

void
worker_wake(const Worker *worker)
{
    (void)eventfd_write(worker->wake_fd, 1);
}
