// SPDX-License-Identifier: Apache-2.0
/*
 * One thread of the server: its event loop, its listeners and its connections; private to repod/. Nothing of
 * a worker is touched by another thread but its wake-up descriptor and its pipe.
 */
#pragma once

#include "base/pool.h"
#include "repod/access.h"
#include "repod/access_log.h"
#include "repod/counters.h"
#include "repod/file_cache.h"
#include "repod/limits.h"
#include "repod/metrics.h"
#include "repod/peer.h"
#include "repod/runtime.h"
#include "repod/upload_table.h"
#include "repod/usage.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

/* What every worker of a server shares. Constant while they run, but for the atomics and what the lock guards. */
typedef struct {
    PoolQueue *jobs;      /* for reads that would block an event loop */
    PoolQueue *exchanges; /* for what requests have done; a queue of their own, since that may take long */
    Access *access;
    UploadTable *uploads;
    Usage *usage;
    atomic_uint n_pushes; /* that go on */
    pthread_mutex_t runtime_lock;
    Runtime *runtime; /* the newest one; guarded by the lock */
    LimitTable *clients;
    Counters counters;
    atomic_uint n_connections;
    atomic_uint n_refused;     /* of them, those that only get an answer that says so */
    atomic_uint stop_level;    /* StopLevel, one up with each signal */
    GPtrArray *workers;        /* (element-type Worker) borrowed */
    pthread_mutex_t beat_lock; /* for each worker's n_beats */
    pthread_cond_t beat;       /* one of them has changed; waits by the monotonic clock */
} Shared;

typedef enum { STOP_NOT, STOP_GRACEFULLY, STOP_NOW } StopLevel;

typedef struct {
    Shared *shared;
    Runtime *runtime; /* what new requests begin under */
    struct event_base *base;
    GPtrArray *listeners; /* (element-type Listener) */
    int wake_fd;
    struct event *wake;
    struct event *resume_accept;
    struct event *stop_deadline;
    FileCache *files;
    struct event *forget_files;
    AccessLog *log; /* NULL: none */
    struct event *flush_log;
    WorkerMetrics metrics;
    unsigned n_beats; /* turns after worker_wake() */
    GQueue connections;
    int done_read, done_write; /* a pipe of Conn pointers whose work in the pool is done */
    struct event *done;
    unsigned n_working; /* connections that the pool works for */
    bool is_stopping;   /* answers say "Connection: close" */
    bool is_done;
    unsigned n_cut; /* responses that the end of the worker cut */
} Worker;

Worker *worker_new(Shared *shared, GError **error);

/** worker_free: for a worker that does not run. Open connections are cut. */
void worker_free(Worker *worker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Worker, worker_free)

/** worker_add_listener: takes @fd, which is bound but need not listen yet. */
bool worker_add_listener(Worker *worker, int fd, bool is_tls, GError **error);

/** worker_time_us: of libevent. */
static inline struct timeval
worker_time_us(int64_t microseconds)
{
    return (struct timeval){.tv_sec = microseconds / G_USEC_PER_SEC,
                            .tv_usec = microseconds % G_USEC_PER_SEC};
}

/** worker_listen: start listening. Only then does the kernel give this worker its share of new connections.
 */
bool worker_listen(Worker *worker, GError **error);

/** worker_run: serve on this thread until Shared.stop_level says to stop. */
bool worker_run(Worker *worker, GError **error);

/** worker_wake: have the worker look at Shared.stop_level and Shared.runtime; from any thread. */
void worker_wake(const Worker *worker);
