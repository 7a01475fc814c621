// SPDX-License-Identifier: Apache-2.0
/* A parallel for over pthreads, the only way that threads are made in this project. */
#pragma once

#include "base/error.h"

#include <stddef.h>

/**
 * PoolFunc: handle item number @item. @worker (0 .. threads-1) is the same for one thread throughout, so it
 * may index per-thread scratch memory. Items start in rising order. Return false with @error set to stop the
 * run.
 */
typedef bool (*PoolFunc)(size_t item, unsigned worker, void *context, GError **error);

/**
 * pool_run: call @func for every item on up to @threads threads and wait for all of them. With one thread or
 * one item it runs on the caller's thread. After the first failure no new item is started. Returns: whether
 * every item succeeded; else the first error
 */
bool pool_run(unsigned threads, size_t n_items, PoolFunc func, void *context, GError **error);

/** PoolQueue: threads that wait for jobs: what must not be done on an event loop. */
typedef struct PoolQueue PoolQueue;

/** pool_queue_new: NULL with @error set where not even one thread can be started. */
PoolQueue *pool_queue_new(unsigned threads, GError **error);

/** pool_queue_push: have @func called with @data on one of the threads; from any thread. Jobs start in order. */
void pool_queue_push(PoolQueue *queue, void (*func)(void *data), void *data);

/** pool_queue_free: finish what was pushed, then end the threads. */
void pool_queue_free(PoolQueue *queue);

/** pool_default_threads: the number of CPUs that this process may use, at least 1. */
unsigned pool_default_threads(void);
