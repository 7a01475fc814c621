// SPDX-License-Identifier: Apache-2.0
/* The server as a whole: one worker a thread, sockets that share each address, and the signals that stop it.
 */
#include "base/file.h"
#include "base/pool.h"
#include "repod/repod.h"
#include "repod/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MIN_JOB_THREADS 4 /* a slow disk blocks one of them, not the rest */
#define MAX_THREADS 256
#define MIN_JOB_THREADS 4 /* one slow disk read must not keep all the others waiting */
#define DEFAULT_CONNECTIONS 10000
/* Descriptors that are not connections: loops, listeners, the root, the log, refusals. */
#define SPARE_DESCRIPTORS 256

struct RepodServer {
    Shared shared;
    GPtrArray *workers;
    Fd log;
    Fd signals;
    GPtrArray *signal_events; /* one a worker */
    GString *uris;
    const char *port_file; /* to remove in the end */
};

/* A connection that sends a file has two descriptors. */
static unsigned
connection_limit(unsigned wanted)
{
    struct rlimit limit;
    rlim_t possible;

    if (wanted == 0)
        wanted = DEFAULT_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = soft;
    }
    possible = limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? (limit.rlim_cur - SPARE_DESCRIPTORS) / 2
                                                      : SPARE_DESCRIPTORS / 2;
    return (unsigned)MIN((rlim_t)wanted, possible);
}

static struct timeval
timeout(unsigned milliseconds, unsigned fallback_seconds)
{
    if (milliseconds == 0)
        milliseconds = fallback_seconds * 1000;
    return (struct timeval){.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
}

static bool
open_files(RepodServer *server, const RepodOptions *options, GError **error)
{
    g_auto(Fd) probe = -1;

    server->shared.root_fd = open(options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server->shared.root_fd < 0)
        return error_set_errno(error, "%s", options->root);
    probe = file_open_beneath(server->shared.root_fd, ".", O_RDONLY | O_DIRECTORY, error);
    if (probe < 0) {
        g_prefix_error(error,
                       "%s: ", options->root); /* a kernel without openat2 shows here, not at each request */
        return false;
    }
    if (options->access_log == NULL)
        return true;
    server->log = strcmp(options->access_log, "-") == 0
                      ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                      : open(options->access_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    return server->log >= 0 || error_set_errno(error, "%s", options->access_log);
}

static bool
listen_on(RepodServer *server, const char *text, GString *ports, GError **error)
{
    char printed[PEER_TEXT_MAX];
    Peer peer;

    if (!peer_parse(text, &peer, error))
        return false;
    for (guint i = 0; i < server->workers->len; i++) {
        int fd = peer_bind(&peer, i == 0, error);

        if (fd < 0 || !worker_add_listener(server->workers->pdata[i], fd, error))
            return false;
    }
    peer_print(&peer, printed);
    g_string_append_printf(server->uris, "%shttp://%s", server->uris->len > 0 ? " " : "", printed);
    g_string_append_printf(ports, "%u\n", peer_port(&peer));
    return true;
}

static void
stop(RepodServer *server)
{
    atomic_fetch_add(&server->shared.stop_level, 1);
    for (guint i = 0; i < server->workers->len; i++)
        worker_wake(server->workers->pdata[i]);
}

static void
on_signal(evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    RepodServer *server = data;
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof info) == sizeof info)
        stop(server);
}

/* Signals become a descriptor: no handler runs in any thread. Every worker watches it, since after the first signal
 * any of them may be the last one that still has work. */
static bool
watch_signals(RepodServer *server, GError **error)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN); /* sendfile() has no MSG_NOSIGNAL */
    errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
    server->signals = errno == 0 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
    if (server->signals < 0)
        return error_set_errno(error, "cannot watch for signals");
    for (guint i = 0; i < server->workers->len; i++) {
        Worker *worker = server->workers->pdata[i];
        struct event *event =
            event_new(worker->base, server->signals, EV_READ | EV_PERSIST, on_signal, server);

        g_assert(event != NULL);
        g_ptr_array_add(server->signal_events, event);
        if (event_add(event, NULL) < 0)
            return error_set(error, "cannot watch for signals");
    }
    return true;
}

static bool
start(RepodServer *server, const RepodOptions *options, GError **error)
{
    static const char *const fallback[] = {REPOD_DEFAULT_LISTEN, NULL};
    const char *const *addresses = options->listen != NULL ? options->listen : fallback;
    unsigned threads = options->threads != 0 ? options->threads : pool_default_threads();
    g_autoptr(GString) ports = g_string_new(NULL);

    /* A stale port file would send somebody who waits for it to another server. */
    if (!open_files(server, options, error) ||
        (options->port_file != NULL && !file_remove(options->port_file, error)))
        return false;
    for (unsigned i = 0; i < MIN(threads, MAX_THREADS); i++) {
        Worker *worker = worker_new(&server->shared, server->log, error);

        if (worker == NULL)
            return false;
        g_ptr_array_add(server->workers, worker);
    }
    for (; *addresses != NULL; addresses++)
        if (!listen_on(server, *addresses, ports, error))
            return false;
    if (!watch_signals(server, error))
        return false;
    /* Its threads start with the signals blocked. */
    server->shared.jobs = pool_queue_new(MAX(MIN(threads, MAX_THREADS), MIN_JOB_THREADS), error);
    if (server->shared.jobs == NULL || !worker_listen(server->workers->pdata[0], error))
        return false;
    if (options->port_file == NULL)
        return true;
    server->port_file = options->port_file;
    return file_write_atomic(options->port_file, ports->str, ports->len, 0644, error);
}

RepodServer *
repod_new(const RepodOptions *options, GError **error)
{
    g_autoptr(RepodServer) server = g_new0(RepodServer, 1);

    server->shared.root_fd = server->log = server->signals = -1;
    server->shared.max_connections = connection_limit(options->max_connections);
    server->shared.head_timeout = timeout(options->head_timeout_ms, 15);
    server->shared.idle_timeout = timeout(options->idle_timeout_ms, 60);
    server->shared.body_timeout = timeout(options->body_timeout_ms, 30);
    server->shared.write_timeout = timeout(options->write_timeout_ms, 60);
    server->shared.stop_timeout = timeout(options->stop_timeout_ms, 30);
    server->workers = g_ptr_array_new_with_free_func((GDestroyNotify)worker_free);
    server->signal_events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
    server->uris = g_string_new(NULL);
    if (!start(server, options, error))
        return NULL;
    return g_steal_pointer(&server);
}

void
repod_free(RepodServer *server)
{
    if (server == NULL)
        return;
    if (server->port_file != NULL)
        file_remove(server->port_file, NULL);
    g_ptr_array_unref(server->signal_events);
    pool_queue_free(server->shared.jobs);
    g_ptr_array_unref(server->workers);
    fd_close(server->shared.root_fd);
    fd_close(server->log);
    fd_close(server->signals);
    g_string_free(server->uris, TRUE);
    g_free(server);
}

const char *
repod_uris(const RepodServer *server)
{
    return server->uris->str;
}

/* A worker whose thread could not be started never listens, so that no connection is lost on it. */
static bool
serve(size_t item, G_GNUC_UNUSED unsigned thread, void *context, GError **error)
{
    RepodServer *server = context;
    Worker *worker = server->workers->pdata[item];
    bool is_ok = true;

    if (atomic_load(&server->shared.stop_level) != STOP_NOT)
        return true;
    is_ok = (item == 0 || worker_listen(worker, error)) && worker_run(worker, error);
    if (!is_ok)
        stop(server);
    return is_ok;
}

bool
repod_run(RepodServer *server, GError **error)
{
    unsigned n_cut = 0;

    if (!pool_run(server->workers->len, server->workers->len, serve, server, error))
        return false;
    for (guint i = 0; i < server->workers->len; i++)
        n_cut += ((Worker *)server->workers->pdata[i])->n_cut;
    return n_cut == 0 || error_set(error, "stopped before %u responses were complete", n_cut);
}
