// SPDX-License-Identifier: Apache-2.0
/* A table in parts, each with a lock that only the start and end of a connection take; and buckets that are one atomic number:
 * the moment at which the bucket would be full again (the generic cell rate algorithm, ITU-T I.371). */
#include "repod/limits.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define N_PARTS 64
#define N_CHAINS 256
#define MAX_IDLE_PER_PART (LIMITS_MAX_IDLE / N_PARTS)
/* A pause is looked at again after at most this long: configurations change. */
#define MAX_PAUSE_US (2 * G_USEC_PER_SEC)

typedef struct {
    uint64_t bits;
    bool is_v6;
} Key;

struct LimitClient {
    LimitClient *next;
    Key key;
    unsigned n_connections; /* guarded by the lock of its part */
    atomic_int_fast64_t requests_full_us, bytes_full_us;
};

typedef struct {
    pthread_mutex_t lock;
    LimitClient *chains[N_CHAINS];
    unsigned n_idle;
} Part;

struct LimitTable {
    uint64_t seed; /* nobody outside can choose addresses that share a chain */
    Part parts[N_PARTS];
};

LimitTable *
limit_table_new(void)
{
    LimitTable *table = g_new0(LimitTable, 1);

    table->seed = (uint64_t)g_random_int() << 32 | g_random_int();
    for (size_t i = 0; i < N_PARTS; i++)
        pthread_mutex_init(&table->parts[i].lock, NULL);
    return table;
}

void
limit_table_free(LimitTable *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < N_PARTS; i++) {
        for (size_t j = 0; j < N_CHAINS; j++) {
            LimitClient *next;

            for (LimitClient *client = table->parts[i].chains[j]; client != NULL; client = next) {
                next = client->next;
                g_free(client);
            }
        }
        pthread_mutex_destroy(&table->parts[i].lock);
    }
    g_free(table);
}

unsigned
limit_table_n_idle(const LimitTable *table)
{
    unsigned n = 0;

    for (size_t i = 0; i < N_PARTS; i++)
        n += table->parts[i].n_idle;
    return n;
}

/* Returns false for a peer without an address. IPv4 written as IPv6 is the IPv4 client. */
static bool
read_key(const Peer *peer, Key *out)
{
    uint32_t v4;

    memset(out, 0, sizeof *out);
    if (peer->any.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
        memcpy(&out->bits, &peer->v6.sin6_addr, sizeof out->bits);
        out->is_v6 = true;
        return true;
    }
    if (peer->any.sa_family != AF_INET6 && peer->any.sa_family != AF_INET)
        return false;
    if (peer->any.sa_family == AF_INET)
        v4 = peer->v4.sin_addr.s_addr;
    else
        memcpy(&v4, (const char *)&peer->v6.sin6_addr + 12, sizeof v4);
    out->bits = v4;
    return true;
}

/* The finaliser of MurmurHash3, which mixes every bit into every other. */
static uint64_t
hash(uint64_t value)
{
    value = (value ^ value >> 33) * G_GUINT64_CONSTANT(0xff51afd7ed558ccd);
    value = (value ^ value >> 33) * G_GUINT64_CONSTANT(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

static LimitClient **
find_chain(LimitTable *table, Key key, Part **out_part)
{
    uint64_t hashed = hash(key.bits ^ table->seed ^ (key.is_v6 ? 1 : 0));

    *out_part = &table->parts[hashed % N_PARTS];
    return &(*out_part)->chains[hashed / N_PARTS % N_CHAINS];
}

static bool
is_full(LimitClient *client, int64_t now_us)
{
    return atomic_load(&client->requests_full_us) <= now_us && atomic_load(&client->bytes_full_us) <= now_us;
}

/* Forget what need not be remembered, and, where the part is full, one that would. */
static void
sweep(Part *part, LimitClient **chain, int64_t now_us)
{
    while (*chain != NULL) {
        LimitClient *client = *chain;

        if (client->n_connections == 0 && (is_full(client, now_us) || part->n_idle > MAX_IDLE_PER_PART)) {
            *chain = client->next;
            g_free(client);
            part->n_idle--;
        } else {
            chain = &client->next;
        }
    }
}

static LimitClient *
find(LimitClient *chain, Key key)
{
    while (chain != NULL && (chain->key.bits != key.bits || chain->key.is_v6 != key.is_v6))
        chain = chain->next;
    return chain;
}

bool
limit_enter(LimitTable *table, const Peer *peer, unsigned max_connections, int64_t now_us,
            LimitClient **out_client)
{
    LimitClient **chain;
    LimitClient *client;
    Part *part;
    Key key;
    bool is_ok;

    *out_client = NULL;
    if (!read_key(peer, &key))
        return true;
    chain = find_chain(table, key, &part);
    pthread_mutex_lock(&part->lock);
    client = find(*chain, key);
    if (client == NULL) {
        sweep(part, chain, now_us);
        client = g_new0(LimitClient, 1);
        client->key = key;
        client->next = *chain;
        *chain = client;
        part->n_idle++;
    }
    is_ok = client->n_connections < max_connections;
    if (is_ok) {
        part->n_idle -= client->n_connections == 0 ? 1 : 0;
        client->n_connections++;
        *out_client = client;
    }
    pthread_mutex_unlock(&part->lock);
    return is_ok;
}

void
limit_leave(LimitTable *table, LimitClient *client, int64_t now_us)
{
    LimitClient **chain;
    Part *part;

    if (client == NULL)
        return;
    chain = find_chain(table, client->key, &part);
    pthread_mutex_lock(&part->lock);
    client->n_connections--;
    if (client->n_connections == 0) {
        part->n_idle++;
        sweep(part, chain, now_us);
    }
    pthread_mutex_unlock(&part->lock);
}

int64_t
limit_take_request(LimitClient *client, unsigned per_second, unsigned burst, int64_t now_us)
{
    int_fast64_t full, later;
    int64_t cost, room;

    if (client == NULL || per_second == 0)
        return 0;
    cost = G_USEC_PER_SEC / per_second;
    room = cost * (int64_t)burst;
    full = atomic_load(&client->requests_full_us);
    do {
        later = MAX(full, now_us) + cost;
        if (later - now_us > room)
            return later - now_us - room;
    } while (!atomic_compare_exchange_weak(&client->requests_full_us, &full, later));
    return 0;
}

int64_t
limit_take_bytes(LimitClient *client, uint64_t per_second, uint64_t bytes, int64_t now_us)
{
    int_fast64_t full, later;
    int64_t debt;

    if (client == NULL || per_second == 0)
        return 0;
    full = atomic_load(&client->bytes_full_us);
    do
        later = MAX(full, now_us) + (int_fast64_t)((double)bytes * G_USEC_PER_SEC / (double)per_second);
    while (!atomic_compare_exchange_weak(&client->bytes_full_us, &full, later));
    debt = later - now_us - G_USEC_PER_SEC;
    return CLAMP(debt, 0, MAX_PAUSE_US);
}
