// SPDX-License-Identifier: Apache-2.0
/* Numeric addresses, and the sockets bound to them. */
#include "repod/peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>

static bool
parse_port(const char *text, in_port_t *out_port)
{
    guint64 port;

    if (!g_ascii_string_to_unsigned(text, 10, 0, 65535, &port, NULL))
        return false;
    *out_port = htons((uint16_t)port);
    return true;
}

bool
peer_parse(const char *text, Peer *out_peer, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon == NULL ? g_strdup("") : g_strndup(text, (gsize)(colon - text));
    size_t length = strlen(host);
    Peer peer = {0};
    bool is_ok;

    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        peer.v6.sin6_family = AF_INET6;
        is_ok = inet_pton(AF_INET6, host + 1, &peer.v6.sin6_addr) == 1 &&
                parse_port(colon + 1, &peer.v6.sin6_port);
    } else {
        peer.v4.sin_family = AF_INET;
        is_ok = inet_pton(AF_INET, host, &peer.v4.sin_addr) == 1 && parse_port(colon + 1, &peer.v4.sin_port);
    }
    if (!is_ok)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s': not a numeric address and port, as in 127.0.0.1:8080 or [::1]:8080",
                              text);
    *out_peer = peer;
    return true;
}

void
peer_unmap(Peer *peer)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = peer->v6.sin6_port};

    if (peer->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr))
        return;
    memcpy(&v4.sin_addr, (const char *)&peer->v6.sin6_addr + 12, sizeof v4.sin_addr);
    *peer = (Peer){.v4 = v4};
}

bool
peer_is_local(const Peer *peer)
{
    switch (peer->any.sa_family) {
    case AF_INET:
        return ntohl(peer->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&peer->v6.sin6_addr);
    default:
        return peer->any.sa_family == AF_UNIX;
    }
}

unsigned
peer_port(const Peer *peer)
{
    return ntohs(peer->any.sa_family == AF_INET6 ? peer->v6.sin6_port : peer->v4.sin_port);
}

void
peer_print(const Peer *peer, char out_text[PEER_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool is_v6 = peer->any.sa_family == AF_INET6;

    if (peer->any.sa_family == AF_UNIX) {
        g_strlcpy(out_text, "unix", PEER_TEXT_MAX);
        return;
    }
    inet_ntop(peer->any.sa_family,
              is_v6 ? (const void *)&peer->v6.sin6_addr : (const void *)&peer->v4.sin_addr, host,
              sizeof host);
    g_snprintf(out_text, PEER_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", host, peer_port(peer));
}

static bool
set_option(int fd, int level, int option)
{
    int on = 1;

    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

int
peer_bind(Peer *peer, bool is_first, GError **error)
{
    bool is_v6 = peer->any.sa_family == AF_INET6;
    socklen_t size = is_v6 ? sizeof peer->v6 : sizeof peer->v4;
    g_auto(Fd) fd = socket(peer->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    char text[PEER_TEXT_MAX];

    /* With SO_REUSEPORT set before its bind, a second daemon would silently share the port of the first and
     * take half of its clients. The kernel's test is done at bind, so ours comes first without it. */
    peer_print(peer, text);
    if (fd < 0 || !set_option(fd, SOL_SOCKET, SO_REUSEADDR) || !set_option(fd, IPPROTO_TCP, TCP_NODELAY) ||
        (is_v6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
        (!is_first && !set_option(fd, SOL_SOCKET, SO_REUSEPORT)) || bind(fd, &peer->any, size) < 0 ||
        !set_option(fd, SOL_SOCKET, SO_REUSEPORT) || getsockname(fd, &peer->any, &size) < 0) {
        error_set_errno(error, "%s: cannot listen", text);
        return -1;
    }
    return fd_steal(&fd);
}
