// SPDX-License-Identifier: Apache-2.0
/* The server as a whole: one worker a thread, the sockets of each, and the signals that reload and stop it. */
#include "base/file.h"
#include "base/pool.h"
#include "repod/listen.h"
#include "repod/notify.h"
#include "repod/privileges.h"
#include "repod/repod.h"
#include "repod/settings.h"
#include "repod/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MAX_THREADS 256
#define MIN_JOB_THREADS 4 /* one slow disk read must not keep all the others waiting */
#define FIRST_PASSED_FD 3 /* sd_listen_fds(3) */
/* Every loop shows that it is alive this many times in the interval in which the manager wants to hear of it. */
#define BEATS 4

typedef struct {
    RepodServer *server;
    guint worker;
    struct event *signal;
    struct event *beat;
    atomic_int_fast64_t alive_until_us; /* monotonic; read by every loop */
} Watch;

struct RepodServer {
    RepodOptions options;
    Shared shared;
    GPtrArray *listening; /* (element-type Listening) */
    GPtrArray *workers;
    GPtrArray *watches; /* one a worker */
    Fd signals;
    pthread_mutex_t reload_lock; /* one reload after the other */
    uint64_t watchdog_us;        /* 0: none */
    GString *uris;
    const char *port_file; /* to remove in the end */
};

static unsigned
n_threads(const Config *config)
{
    return MIN(config->threads != 0 ? config->threads : pool_default_threads(), MAX_THREADS);
}

static bool
add_listening(RepodServer *server, Listening *listening)
{
    if (listening == NULL)
        return false;
    g_ptr_array_add(server->listening, listening);
    g_string_append_printf(server->uris, "%s%s", server->uris->len > 0 ? " " : "", listening->uri);
    return true;
}

/* Sockets of a service manager come instead of those of the configuration. */
static bool
open_sockets(RepodServer *server, const Config *config, GError **error)
{
    g_auto(GStrv) names = NULL;
    const unsigned n_passed = notify_sockets(&names);

    for (unsigned i = 0; i < n_passed; i++)
        if (!add_listening(server,
                           listen_adopt(FIRST_PASSED_FD + (int)i, names[i], n_threads(config), error)))
            return false;
    for (guint i = 0; n_passed == 0 && i < config->listen->len; i++)
        if (!add_listening(server, listen_bind(g_ptr_array_index(config->listen, i), n_threads(config),
                                               config->socket_mode, error)))
            return false;
    return true;
}

/* Who speaks TLS on a port must never speak plainly there. */
static bool
check_tls(const RepodServer *server, const Runtime *runtime, GError **error)
{
    for (guint i = 0; i < server->listening->len; i++) {
        const Listening *listening = g_ptr_array_index(server->listening, i);

        if (listening->is_tls && runtime->tls == NULL)
            return error_set_code(error, BASE_ERROR_USAGE, "%s: needs 'tls-certificate' and 'tls-key'",
                                  listening->uri);
    }
    return true;
}

static void
wake_all(RepodServer *server)
{
    for (guint i = 0; i < server->workers->len; i++)
        worker_wake(server->workers->pdata[i]);
}

static void
stop(RepodServer *server)
{
    if (atomic_fetch_add(&server->shared.stop_level, 1) == STOP_NOT)
        notify_send("STOPPING=1");
    wake_all(server);
}

static void
report(const RepodServer *server, const char *message)
{
    if (server->options.report != NULL)
        server->options.report(message);
}

/* What was done once at the start stays as it is. */
static void
report_unchangeable(const RepodServer *server, const Config *old, const Config *new)
{
    bool has_other_listen = old->listen->len != new->listen->len;

    for (guint i = 0; !has_other_listen && i < old->listen->len; i++) {
        const ConfigListen *a = g_ptr_array_index(old->listen, i), *b = g_ptr_array_index(new->listen, i);

        has_other_listen = strcmp(a->address, b->address) != 0 || a->is_tls != b->is_tls;
    }
    if (has_other_listen)
        report(server, "warning: other addresses to listen on need a restart");
    if (old->threads != new->threads)
        report(server, "warning: another number of threads needs a restart");
    if (g_strcmp0(old->user, new->user) != 0)
        report(server, "warning: another user needs a restart");
}

static Runtime *
load(const RepodServer *server, GError **error)
{
    g_autoptr(Config) config = settings_read(&server->options, error);
    g_autoptr(Runtime) runtime = config == NULL ? NULL : runtime_new(config, error);

    return runtime != NULL && check_tls(server, runtime, error) ? g_steal_pointer(&runtime) : NULL;
}

/* On a thread of the pool: reading files would hold up a loop. */
static void
reload(void *data)
{
    RepodServer *server = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *state =
        g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
    Runtime *runtime;

    pthread_mutex_lock(&server->reload_lock);
    notify_send(state);
    runtime = load(server, &error);
    counters_add(&server->shared.counters, runtime != NULL ? COUNT_RELOADS : COUNT_RELOAD_FAILURES);
    if (runtime == NULL) {
        g_autofree char *message = g_strdup_printf("not reloaded: %s", error->message);

        report(server, message);
    } else {
        Runtime *old = server->shared.runtime;

        report_unchangeable(server, old->config, runtime->config);
        runtime_inherit(runtime, old);
        pthread_mutex_lock(&server->shared.runtime_lock);
        server->shared.runtime = runtime;
        pthread_mutex_unlock(&server->shared.runtime_lock);
        runtime_unref(old);
        wake_all(server);
        report(server, "reloaded");
    }
    notify_send("READY=1");
    pthread_mutex_unlock(&server->reload_lock);
}

static void
on_signal(evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    RepodServer *server = ((Watch *)data)->server;
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo != SIGHUP)
        stop(server);
    else if (atomic_load(&server->shared.stop_level) == STOP_NOT)
        pool_queue_push(server->shared.jobs, reload, server);
}

/* The manager hears that all is well from any loop, as long as all of them turn. */
static void
on_beat(G_GNUC_UNUSED evutil_socket_t fd, G_GNUC_UNUSED short what, void *data)
{
    Watch *watch = data;
    RepodServer *server = watch->server;
    const int64_t now = g_get_monotonic_time();

    atomic_store(&watch->alive_until_us, now + (int64_t)server->watchdog_us / 2);
    for (guint i = 0; i < server->watches->len; i++)
        if (atomic_load(&((Watch *)server->watches->pdata[i])->alive_until_us) < now)
            return;
    notify_send("WATCHDOG=1");
}

static void
watch_free(void *data)
{
    Watch *watch = data;

    if (watch->signal != NULL)
        event_free(watch->signal);
    if (watch->beat != NULL)
        event_free(watch->beat);
    g_free(watch);
}

static bool
watch_worker(RepodServer *server, guint number, GError **error)
{
    const struct timeval interval = worker_time_us((int64_t)server->watchdog_us / BEATS);
    struct event_base *base = ((Worker *)server->workers->pdata[number])->base;
    Watch *watch = g_new0(Watch, 1);

    watch->server = server;
    watch->worker = number;
    g_ptr_array_add(server->watches, watch);
    atomic_store(&watch->alive_until_us, G_MAXINT64); /* until its loop begins */
    watch->signal = event_new(base, server->signals, EV_READ | EV_PERSIST, on_signal, watch);
    watch->beat = event_new(base, -1, EV_PERSIST, on_beat, watch);
    g_assert(watch->signal != NULL && watch->beat != NULL);
    return (event_add(watch->signal, NULL) == 0 &&
            (server->watchdog_us == 0 || event_add(watch->beat, &interval) == 0)) ||
           error_set(error, "cannot watch for signals");
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
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN); /* sendfile() has no MSG_NOSIGNAL */
    errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
    server->signals = errno == 0 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
    if (server->signals < 0)
        return error_set_errno(error, "cannot watch for signals");
    server->watchdog_us = notify_watchdog_us();
    for (guint i = 0; i < server->workers->len; i++)
        if (!watch_worker(server, i, error))
            return false;
    return true;
}

static bool
add_worker(RepodServer *server, unsigned number, GError **error)
{
    Worker *worker = worker_new(&server->shared, error);

    if (worker == NULL)
        return false;
    g_ptr_array_add(server->workers, worker);
    for (guint i = 0; i < server->listening->len; i++) {
        Listening *listening = g_ptr_array_index(server->listening, i);

        if (!worker_add_listener(worker, listen_take(listening, number), listening->is_tls, error))
            return false;
    }
    return true;
}

static bool
write_ports(RepodServer *server, GError **error)
{
    g_autoptr(GString) ports = g_string_new(NULL);

    for (guint i = 0; i < server->listening->len; i++) {
        const Listening *listening = g_ptr_array_index(server->listening, i);

        if (listening->peer.any.sa_family != AF_UNIX)
            g_string_append_printf(ports, "%u\n", peer_port(&listening->peer));
    }
    server->port_file = server->options.port_file;
    return file_write_atomic(server->port_file, ports->str, ports->len, 0644, error);
}

/* Only the sockets are opened with the rights that this process began with, so that what starts can also reload. */
static bool
start(RepodServer *server, GError **error)
{
    const char *port_file = server->options.port_file;
    g_autoptr(Config) config = settings_read(&server->options, error);

    /* A stale port file would send somebody who waits for it to another server. */
    if (config == NULL || (port_file != NULL && !file_remove(port_file, error)) ||
        !open_sockets(server, config, error) || !privileges_drop(config->user, error))
        return false;
    server->shared.runtime = runtime_new(config, error);
    if (server->shared.runtime == NULL || !check_tls(server, server->shared.runtime, error))
        return false;
    for (unsigned i = 0; i < n_threads(config); i++)
        if (!add_worker(server, i, error))
            return false;
    if (!watch_signals(server, error))
        return false;
    /* Its threads start with the signals blocked. */
    server->shared.jobs = pool_queue_new(MAX(n_threads(config), MIN_JOB_THREADS), error);
    server->shared.exchanges = pool_queue_new(MAX(n_threads(config), MIN_JOB_THREADS), error);
    if (server->shared.jobs == NULL || server->shared.exchanges == NULL ||
        !worker_listen(server->workers->pdata[0], error))
        return false;
    return port_file == NULL || write_ports(server, error);
}

static void
init_beat(Shared *shared)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shared->beat, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&shared->beat_lock, NULL);
}

RepodServer *
repod_new(const RepodOptions *options, GError **error)
{
    g_autoptr(RepodServer) server = g_new0(RepodServer, 1);

    server->options = *options;
    server->signals = -1;
    pthread_mutex_init(&server->shared.runtime_lock, NULL);
    pthread_mutex_init(&server->reload_lock, NULL);
    init_beat(&server->shared);
    server->shared.clients = limit_table_new();
    server->shared.access = access_new();
    server->shared.uploads = upload_table_new();
    server->shared.usage = usage_new();
    server->listening = g_ptr_array_new_with_free_func((GDestroyNotify)listening_free);
    server->workers = g_ptr_array_new_with_free_func((GDestroyNotify)worker_free);
    server->watches = g_ptr_array_new_with_free_func(watch_free);
    server->shared.workers = server->workers;
    server->uris = g_string_new(NULL);
    if (!start(server, error))
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
    pool_queue_free(server->shared.jobs);
    pool_queue_free(server->shared.exchanges);
    g_ptr_array_unref(server->watches);
    g_ptr_array_unref(server->workers);
    g_ptr_array_unref(server->listening);
    access_free(server->shared.access);
    upload_table_free(server->shared.uploads);
    usage_free(server->shared.usage);
    limit_table_free(server->shared.clients);
    runtime_unref(server->shared.runtime);
    pthread_mutex_destroy(&server->shared.runtime_lock);
    pthread_mutex_destroy(&server->reload_lock);
    pthread_mutex_destroy(&server->shared.beat_lock);
    pthread_cond_destroy(&server->shared.beat);
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
    Watch *watch = server->watches->pdata[item];
    bool is_ok = true;

    if (atomic_load(&server->shared.stop_level) != STOP_NOT)
        return true;
    is_ok = (item == 0 || worker_listen(worker, error)) && worker_run(worker, error);
    atomic_store(&watch->alive_until_us, G_MAXINT64); /* its end is no fault */
    if (!is_ok)
        stop(server);
    return is_ok;
}

bool
repod_run(RepodServer *server, GError **error)
{
    unsigned n_cut = 0;

    notify_send("READY=1");
    if (!pool_run(server->workers->len, server->workers->len, serve, server, error))
        return false;
    for (guint i = 0; i < server->workers->len; i++)
        n_cut += ((Worker *)server->workers->pdata[i])->n_cut;
    return n_cut == 0 || error_set(error, "stopped before %u responses were complete", n_cut);
}
