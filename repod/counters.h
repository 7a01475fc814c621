// SPDX-License-Identifier: Apache-2.0
/* How often what happened since the start: each limit that was hit, and what is worth watching; private to repod/. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef enum {
    COUNT_CONNECTIONS,
    COUNT_LIMIT_CONNECTIONS,
    COUNT_LIMIT_CLIENT_CONNECTIONS,
    COUNT_LIMIT_FILES,
    COUNT_LIMIT_TLS_TIME,
    COUNT_LIMIT_HEAD_TIME,
    COUNT_LIMIT_REQUEST_TIME,
    COUNT_LIMIT_BODY_RATE,
    COUNT_LIMIT_WRITE_TIME,
    COUNT_LIMIT_REQUESTS,
    COUNT_LIMIT_BYTES,
    COUNT_LIMIT_UPLOAD_SIZE,
    COUNT_LIMIT_ROOM,
    COUNT_LIMIT_DAILY,
    COUNT_LIMIT_AT_ONCE,
    COUNT_LIMIT_TOKENS,
    COUNT_TLS_HANDSHAKES,
    COUNT_TLS_FAILURES,
    COUNT_TLS_RESUMED,
    COUNT_TLS_KERNEL,
    COUNT_COLD_READS,
    COUNT_RELOADS,
    COUNT_RELOAD_FAILURES,
    N_COUNTS,
} Count;

typedef struct {
    atomic_uint_fast64_t values[N_COUNTS];
} Counters;

/** CountText: for whoever exports them. The name is as Prometheus wants one: "limit_hits_total{limit=...}" is made of those
 * with a @limit. */
typedef struct {
    const char *name;  /* "connections"; NULL for a limit */
    const char *limit; /* "client-connections"; NULL for anything else */
    const char *help;
} CountText;

extern const CountText count_texts[N_COUNTS];

static inline void
counters_add(Counters *counters, Count count)
{
    atomic_fetch_add_explicit(&counters->values[count], 1, memory_order_relaxed);
}

static inline uint64_t
counters_get(const Counters *counters, Count count)
{
    return atomic_load_explicit(&counters->values[count], memory_order_relaxed);
}
