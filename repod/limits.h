// SPDX-License-Identifier: Apache-2.0
/*
 * What one client may have and do: connections, requests and bytes per second; private to repod/. A client is an IPv4
 * address or an IPv6 network of 64 bits, since whoever has one address there has them all. Any thread may call.
 */
#pragma once

#include "repod/peer.h"

#include <stdbool.h>
#include <stdint.h>

/* Clients remembered after their last connection, so that reconnecting does not refill a bucket: 4 MiB of memory. Where
 * there are more, the first one found is forgotten, which costs no more than its bucket. */
#define LIMITS_MAX_IDLE 65536

typedef struct LimitTable LimitTable;
typedef struct LimitClient LimitClient;

LimitTable *limit_table_new(void);
void limit_table_free(LimitTable *table);

/** limit_table_n_idle: clients that are remembered without a connection; when nothing else runs. */
unsigned limit_table_n_idle(const LimitTable *table);

/** limit_enter: one more connection of @peer. @out_client gets NULL where there is nothing to count, on a Unix socket.
 * Returns: false where it has @max_connections already */
bool limit_enter(LimitTable *table, const Peer *peer, unsigned max_connections, int64_t now_us,
                 LimitClient **out_client);

/** limit_leave: its end. */
void limit_leave(LimitTable *table, LimitClient *client, int64_t now_us);

/** limit_take_request: one more. @per_second: 0 for no limit; @burst: so many at once, at least 1.
 * Returns: 0, or the microseconds after which to try again */
int64_t limit_take_request(LimitClient *client, unsigned per_second, unsigned burst, int64_t now_us);

/** limit_take_bytes: so many were sent or received. @per_second: 0 for no limit; a second's worth may come at once.
 * Returns: the microseconds to pause before the next */
int64_t limit_take_bytes(LimitClient *client, uint64_t per_second, uint64_t bytes, int64_t now_us);
