// SPDX-License-Identifier: Apache-2.0
/*
 * What Prometheus asks for; private to repod/. Each worker counts for itself, without contention; they are added up when
 * somebody asks.
 */
#pragma once

#include "repod/counters.h"
#include "repod/http_parse.h"
#include "repod/runtime.h"

#define METRICS_METHODS 7 /* HttpMethod */
#define METRICS_CLASSES 6 /* of a status: 2 for 200 to 299 */
#define METRICS_BUCKETS 12

/** WorkerMetrics: written by one thread, read by any. */
typedef struct {
    atomic_uint_fast64_t requests[METRICS_METHODS][METRICS_CLASSES];
    atomic_uint_fast64_t bytes;                        /* of bodies that were sent */
    atomic_uint_fast64_t latency[METRICS_BUCKETS + 1]; /* the last one: longer than all */
    atomic_uint_fast64_t latency_us;
} WorkerMetrics;

/** metrics_add: one answer has ended. */
void metrics_add(WorkerMetrics *metrics, HttpMethod method, int status, uint64_t bytes, int64_t duration_us);

/** metrics_print_totals: append what the workers counted. @workers: (element-type WorkerMetrics) */
void metrics_print_totals(GString *out, const GPtrArray *workers);

/** metrics_print_counters: append the limits that were hit, and the rest of @counters. */
void metrics_print_counters(GString *out, const Counters *counters, unsigned n_connections);

/** metrics_print_sites: append each repository's index and pulls. Reads what was published meanwhile: not on a loop. */
void metrics_print_sites(GString *out, const Runtime *runtime);

/** metrics_print_build: append the version of this program. */
void metrics_print_build(GString *out);
