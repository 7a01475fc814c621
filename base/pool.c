// SPDX-License-Identifier: Apache-2.0
/* A parallel for: threads take the next item until none is left or one fails; and threads that wait for jobs. */
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

typedef struct {
    void (*func)(void *data);
    void *data;
} Job;

struct PoolQueue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    GQueue jobs; /* (element-type Job) */
    bool is_closing;
    unsigned n_threads;
    pthread_t *threads;
};

/* next_job: NULL once the queue is closing and empty. */
static Job *
next_job(PoolQueue *queue)
{
    Job *job;

    pthread_mutex_lock(&queue->lock);
    while (g_queue_is_empty(&queue->jobs) && !queue->is_closing)
        pthread_cond_wait(&queue->changed, &queue->lock);
    job = g_queue_pop_head(&queue->jobs);
    pthread_mutex_unlock(&queue->lock);
    return job;
}

static void *
run_jobs(void *data)
{
    PoolQueue *queue = data;
    Job *job;

    while ((job = next_job(queue)) != NULL) {
        job->func(job->data);
        g_free(job);
    }
    return NULL;
}

PoolQueue *
pool_queue_new(unsigned threads, GError **error)
{
    PoolQueue *queue = g_new0(PoolQueue, 1);

    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->changed, NULL);
    g_queue_init(&queue->jobs);
    queue->threads = g_new0(pthread_t, MAX(threads, 1));
    while (queue->n_threads < MAX(threads, 1) &&
           pthread_create(&queue->threads[queue->n_threads], NULL, run_jobs, queue) == 0)
        queue->n_threads++;
    if (queue->n_threads == 0) {
        pool_queue_free(queue);
        error_set(error, "no thread could be started");
        return NULL;
    }
    return queue;
}

void
pool_queue_push(PoolQueue *queue, void (*func)(void *data), void *data)
{
    Job *job = g_new0(Job, 1);

    *job = (Job){func, data};
    pthread_mutex_lock(&queue->lock);
    g_queue_push_tail(&queue->jobs, job);
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

void
pool_queue_free(PoolQueue *queue)
{
    if (queue == NULL)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->is_closing = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < queue->n_threads; i++)
        pthread_join(queue->threads[i], NULL);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    g_free(queue->threads);
    g_free(queue);
}
