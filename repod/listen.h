// SPDX-License-Identifier: Apache-2.0
/* The sockets that clients connect to, bound here or by a service manager; private to repod/. */
#pragma once

#include "repod/config.h"
#include "repod/peer.h"

/** Listening: one address, with a socket for each worker. */
typedef struct {
    Peer peer;
    bool is_tls;
    GArray *
        sockets; /* (element-type int) of TCP, each bound anew; else duplicates of one. -1 where it was taken. */
    char *uri;  /* "https://127.0.0.1:443", "unix:/run/repod.sock" */
    char *path; /* of a Unix socket that was made here, to be removed; else NULL */
} Listening;

void listening_free(Listening *listening);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Listening, listening_free)

/** listen_check: whether @address can be read. Errors: BASE_ERROR_USAGE */
bool listen_check(const char *address, GError **error);

/** listen_bind: for @n_workers workers. Nothing listens yet. */
Listening *listen_bind(const ConfigListen *config, unsigned n_workers, unsigned socket_mode, GError **error);

/** listen_adopt: @fd from a service manager, which listens already; it stays open for us alone. @name: of the socket there;
 * "tls" or "https" say that TLS is spoken on it. */
Listening *listen_adopt(int fd, const char *name, unsigned n_workers, GError **error);

/** listen_take: the socket of worker number @worker, owned. */
int listen_take(Listening *listening, unsigned worker);
