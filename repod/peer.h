// SPDX-License-Identifier: Apache-2.0
/* Socket addresses as text and back; private to repod/. */
#pragma once

#include "base/fd.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define PEER_TEXT_MAX 64

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} Peer;

/**
 * peer_parse: "127.0.0.1:8080" or "[::1]:8080"; numeric only, since a name may mean several addresses.
 * Errors: BASE_ERROR_USAGE
 */
bool peer_parse(const char *text, Peer *out_peer, GError **error);

/** peer_print: the same notation; "unix" for a client of a Unix socket, which has no address. */
void peer_print(const Peer *peer, char out_text[PEER_TEXT_MAX]);

/**
 * peer_unmap: make an IPv4 address that is written as an IPv6 one ("::ffff:192.0.2.1") itself again. A socket of a service
 * manager takes both kinds, and all of these would be one client by their first 64 bits, and none of them local.
 */
void peer_unmap(Peer *peer);

/** peer_is_local: whether it is on this very host: over a Unix socket or a loopback address. */
bool peer_is_local(const Peer *peer);

unsigned peer_port(const Peer *peer);

/**
 * peer_bind: a bound socket that does not listen yet, non-blocking, with TCP_NODELAY for what it accepts. An
 * IPv6 socket takes IPv6 alone. @peer gets the port that the kernel chose, where it was 0.
 *
 * @is_first: of several sockets on this address. The first one fails where another program listens; the
 * others share the address with it.
 *
 * Returns: an owned descriptor, or -1 with @error set
 */
int peer_bind(Peer *peer, bool is_first, GError **error);
