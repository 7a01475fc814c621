// SPDX-License-Identifier: Apache-2.0
/* A parallel for: threads take the next item until none is left or one fails. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>

typedef struct {
    pthread_mutex_t lock;
    size_t next;
    size_t n_items;
    PoolFunc func;
    void *context;
    GError *error; /* the first failure */
    bool has_failed;
} Run;

typedef struct {
    Run *run;
    unsigned number;
    pthread_t thread;
} Worker;

static bool
take_item(Run *run, size_t *out_item)
{
    bool has_item;

    pthread_mutex_lock(&run->lock);
    has_item = !run->has_failed && run->next < run->n_items;
    if (has_item)
        *out_item = run->next++;
    pthread_mutex_unlock(&run->lock);
    return has_item;
}

static void
note_failure(Run *run, GError *error)
{
    pthread_mutex_lock(&run->lock);
    if (run->has_failed)
        g_clear_error(&error);
    else
        run->error = error;
    run->has_failed = true;
    pthread_mutex_unlock(&run->lock);
}

static void *
work(void *data)
{
    Worker *worker = data;
    Run *run = worker->run;
    size_t item;

    while (take_item(run, &item)) {
        GError *error = NULL;

        if (!run->func(item, worker->number, run->context, &error))
            note_failure(run, error);
    }
    return NULL;
}

bool
pool_run(unsigned threads, size_t n_items, PoolFunc func, void *context, GError **error)
{
    Run run = {.lock = PTHREAD_MUTEX_INITIALIZER, .n_items = n_items, .func = func, .context = context};
    unsigned n = (unsigned)MIN((size_t)MAX(threads, 1), MAX(n_items, 1));
    g_autofree Worker *workers = g_new0(Worker, n);
    unsigned started = 1;

    for (unsigned i = 0; i < n; i++)
        workers[i] = (Worker){.run = &run, .number = i};
    /* The caller is worker 0. Fewer threads than asked for is slower, not wrong. */
    while (started < n && pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0)
        started++;
    work(&workers[0]);
    for (unsigned i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_mutex_destroy(&run.lock);
    if (run.has_failed && run.error != NULL)
        g_propagate_error(error, run.error);
    return !run.has_failed;
}

unsigned
pool_default_threads(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    return g_get_num_processors();
}
