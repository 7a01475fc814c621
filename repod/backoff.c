// SPDX-License-Identifier: Apache-2.0
/* Waiting times after wrong credentials. */
#include "repod/backoff.h"

#include <string.h>

#define WAYS 8 /* places that an address can have */
/* So long without a failure, and it starts afresh. */
#define FORGET_US (10 * 60 * (int64_t)G_USEC_PER_SEC)

static void
make_key(const Peer *peer, uint8_t out_key[16])
{
    memset(out_key, 0, 16);
    out_key[15] = (uint8_t)peer->any.sa_family;
    if (peer->any.sa_family == AF_INET6)
        memcpy(out_key, &peer->v6.sin6_addr, 8);
    else if (peer->any.sa_family == AF_INET)
        memcpy(out_key, &peer->v4.sin_addr, 4);
}

/* The first place of an address. FNV-1a: whoever finds collisions only pushes out entries. */
static size_t
place(const uint8_t key[16])
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < 16; i++)
        hash = (hash ^ key[i]) * 16777619u;
    return hash % (BACKOFF_ENTRIES / WAYS) * WAYS;
}

static BackoffEntry *
find(const Backoff *backoff, const uint8_t key[16])
{
    const BackoffEntry *entry = &backoff->entries[place(key)];

    for (size_t i = 0; i < WAYS; i++, entry++)
        if (entry->failures > 0 && memcmp(entry->key, key, 16) == 0)
            return (BackoffEntry *)entry;
    return NULL;
}

unsigned
backoff_seconds(const Backoff *backoff, const Peer *peer, int64_t now_us)
{
    uint8_t key[16];
    const BackoffEntry *entry;

    make_key(peer, key);
    entry = find(backoff, key);
    if (entry == NULL || entry->until_us <= now_us)
        return 0;
    return (unsigned)((entry->until_us - now_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
}

/* oldest: the place to take for an address that has none. */
static BackoffEntry *
oldest(Backoff *backoff, const uint8_t key[16])
{
    BackoffEntry *first = &backoff->entries[place(key)], *best = first;

    for (size_t i = 1; i < WAYS; i++)
        if (first[i].failures == 0 || (best->failures > 0 && first[i].last_us < best->last_us))
            best = &first[i];
    *best = (BackoffEntry){.failures = 0};
    memcpy(best->key, key, 16);
    return best;
}

void
backoff_fail(Backoff *backoff, const Peer *peer, int64_t now_us)
{
    uint8_t key[16];
    BackoffEntry *entry;
    unsigned seconds = 0;

    make_key(peer, key);
    entry = find(backoff, key);
    if (entry == NULL)
        entry = oldest(backoff, key);
    else if (now_us - entry->last_us > FORGET_US)
        entry->failures = 0;
    entry->failures = MIN(entry->failures + 1, 1000u);
    if (entry->failures > BACKOFF_FREE)
        seconds = MIN(1u << MIN(entry->failures - BACKOFF_FREE - 1, 16u), BACKOFF_MAX_SECONDS);
    entry->last_us = now_us;
    entry->until_us = now_us + (int64_t)seconds * G_USEC_PER_SEC;
}

void
backoff_forget(Backoff *backoff, const Peer *peer)
{
    uint8_t key[16];
    BackoffEntry *entry;

    make_key(peer, key);
    entry = find(backoff, key);
    if (entry != NULL)
        entry->failures = 0;
}
