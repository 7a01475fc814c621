// SPDX-License-Identifier: Apache-2.0
/*
 * Clients that show wrong credentials have to wait, longer each time; private to repod/. A table of fixed size: who makes
 * it overflow pushes out the oldest entries, never the server's memory. Pure, not thread-safe.
 */
#pragma once

#include "repod/peer.h"

#define BACKOFF_ENTRIES 1024u
#define BACKOFF_FREE 3u /* wrong answers without a wait: a typing mistake, an expired token in two programs */
#define BACKOFF_MAX_SECONDS 60u

typedef struct {
    uint8_t key[16]; /* the address; of IPv6 its first 64 bits, as one client has all the rest */
    unsigned failures;
    int64_t last_us, until_us;
} BackoffEntry;

typedef struct {
    BackoffEntry entries[BACKOFF_ENTRIES];
} Backoff;

/** backoff_seconds: how long @peer has to wait, at least 1; 0: not at all. @now_us: monotonic. */
unsigned backoff_seconds(const Backoff *backoff, const Peer *peer, int64_t now_us);

/** backoff_fail: one more wrong credential. After BACKOFF_FREE of them the waits are 1, 2, 4 ... BACKOFF_MAX_SECONDS. */
void backoff_fail(Backoff *backoff, const Peer *peer, int64_t now_us);

/** backoff_forget: it showed a good one. */
void backoff_forget(Backoff *backoff, const Peer *peer);
