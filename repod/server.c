// SPDX-License-Identifier: Apache-2.0
/* The server as a whole: one worker a thread, sockets that share each address, and the signals that stop it.
 */
#include "base/file.h"
#include "base/pool.h"
#include "repod/repod.h"
#include "repod/worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MAX_THREADS 256
#define MIN_JOB_THREADS 4 /* one slow disk read must not keep all the others waiting */
/* Descriptors that are not connections: loops, listeners, the root, the log, refusals. */
#define SPARE_DESCRIPTORS 256

struct RepodServer {
    Shared shared;
    GPtrArray *workers;
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

/* What the command line says outweighs the file. */
static void
apply_options(Config *config, const RepodOptions *options)
{
    const struct {
        unsigned *value;
        unsigned wanted;
    } numbers[] = {
        {&config->threads, options->threads},
        {&config->max_connections, options->max_connections},
        {&config->head_timeout_ms, options->head_timeout_ms},
        {&config->idle_timeout_ms, options->idle_timeout_ms},
        {&config->body_timeout_ms, options->body_timeout_ms},
        {&config->write_timeout_ms, options->write_timeout_ms},
        {&config->request_timeout_ms, options->request_timeout_ms},
        {&config->tls_timeout_ms, options->tls_timeout_ms},
        {&config->stop_timeout_ms, options->stop_timeout_ms},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].wanted != 0)
            *numbers[i].value = numbers[i].wanted;
    config->max_connections = connection_limit(config->max_connections);
    if (options->access_log != NULL) {
        g_free(config->access_log);
        config->access_log = g_strdup(options->access_log);
    }
    if (options->listen != NULL)
        g_ptr_array_set_size(config->listen, 0);
    for (const char *const *at = options->listen; at != NULL && *at != NULL; at++)
        config_add_listen(config, *at, false);
    if (config->listen->len == 0)
        config_add_listen(config, REPOD_DEFAULT_LISTEN, false);
}

static Config *
read_config(const char *path, GError **error)
{
    g_autoptr(GBytes) text = file_read(path, CONFIG_MAX_BYTES, error);

    if (text == NULL)
        return NULL;
    return config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, error);
}

static Runtime *
load(const RepodOptions *options, GError **error)
{
    g_autoptr(Config) config = NULL;

    if (options->config != NULL)
        config = read_config(options->config, error);
    else
        config = config_new_simple(options->root);
    if (config == NULL)
        return NULL;
    apply_options(config, options);
    return runtime_new(config, error);
}

static bool
listen_on(RepodServer *server, const ConfigListen *listen, GString *ports, GError **error)
{
    char printed[PEER_TEXT_MAX];
    Peer peer;

    if (!peer_parse(listen->address, &peer, error))
        return false;
    for (guint i = 0; i < server->workers->len; i++) {
        int fd = peer_bind(&peer, i == 0, error);

        if (fd < 0 || !worker_add_listener(server->workers->pdata[i], fd, listen->is_tls, error))
            return false;
    }
    peer_print(&peer, printed);
    g_string_append_printf(server->uris, "%shttp%s://%s", server->uris->len > 0 ? " " : "",
                           listen->is_tls ? "s" : "", printed);
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
    const Config *config;
    g_autoptr(GString) ports = g_string_new(NULL);
    unsigned threads;

    server->shared.runtime = load(options, error);
    /* A stale port file would send somebody who waits for it to another server. */
    if (server->shared.runtime == NULL ||
        (options->port_file != NULL && !file_remove(options->port_file, error)))
        return false;
    config = server->shared.runtime->config;
    threads = config->threads != 0 ? config->threads : pool_default_threads();
    for (unsigned i = 0; i < MIN(threads, MAX_THREADS); i++) {
        Worker *worker = worker_new(&server->shared, error);

        if (worker == NULL)
            return false;
        g_ptr_array_add(server->workers, worker);
    }
    for (guint i = 0; i < config->listen->len; i++)
        if (!listen_on(server, g_ptr_array_index(config->listen, i), ports, error))
            return false;
    if (!watch_signals(server, error))
        return false;
    /* Its threads start with the signals blocked. */
    server->shared.jobs = pool_queue_new(MAX(MIN(threads, MAX_THREADS), MIN_JOB_THREADS), error);
    server->shared.exchanges = pool_queue_new(MAX(MIN(threads, MAX_THREADS), MIN_JOB_THREADS), error);
    if (server->shared.jobs == NULL || server->shared.exchanges == NULL ||
        !worker_listen(server->workers->pdata[0], error))
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

    server->signals = -1;
    pthread_mutex_init(&server->shared.runtime_lock, NULL);
    server->shared.clients = limit_table_new();
    server->shared.access = access_new();
    server->shared.uploads = upload_table_new();
    server->shared.usage = usage_new();
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
    pool_queue_free(server->shared.exchanges);
    g_ptr_array_unref(server->workers);
    access_free(server->shared.access);
    upload_table_free(server->shared.uploads);
    usage_free(server->shared.usage);
    limit_table_free(server->shared.clients);
    runtime_unref(server->shared.runtime);
    pthread_mutex_destroy(&server->shared.runtime_lock);
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
