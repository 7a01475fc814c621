// SPDX-License-Identifier: Apache-2.0
/* Sockets of three kinds: TCP with one socket for each worker, between which the kernel divides the clients; Unix; and passed by
 * a service manager. The latter two are one socket that all workers accept from. */
#include "repod/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

void
listening_free(Listening *listening)
{
    if (listening == NULL)
        return;
    for (guint i = 0; i < listening->sockets->len; i++)
        fd_close(g_array_index(listening->sockets, int, i));
    g_array_unref(listening->sockets);
    if (listening->path != NULL)
        (void)unlink(listening->path); /* as far as this user still may */
    g_free(listening->path);
    g_free(listening->uri);
    g_free(listening);
}

static Listening *
listening_new(bool is_tls)
{
    Listening *listening = g_new0(Listening, 1);

    listening->is_tls = is_tls;
    listening->sockets = g_array_new(FALSE, FALSE, sizeof(int));
    return listening;
}

/* unix_path: NULL with @error set where it does not fit; after the prefix. */
static const char *
unix_path(const char *address, GError **error)
{
    const char *path = address + strlen(UNIX_PREFIX);

    if (path[0] == '/' && strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return path;
    error_set_code(error, BASE_ERROR_USAGE, "'%s': an absolute path of at most %zu bytes is expected",
                   address, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    return NULL;
}

bool
listen_check(const char *address, GError **error)
{
    Peer peer;

    return g_str_has_prefix(address, UNIX_PREFIX) ? unix_path(address, error) != NULL
                                                  : peer_parse(address, &peer, error);
}

static void
set_uri(Listening *listening)
{
    char printed[PEER_TEXT_MAX];

    peer_print(&listening->peer, printed);
    listening->uri = g_strdup_printf("http%s://%s", listening->is_tls ? "s" : "", printed);
}

/* A socket that all workers share, from @fd, which is taken. */
static bool
share(Listening *listening, int fd, unsigned n_workers, GError **error)
{
    g_array_append_val(listening->sockets, fd);
    while (listening->sockets->len < n_workers) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
            return error_set_errno(error, "cannot listen");
        g_array_append_val(listening->sockets, copy);
    }
    return true;
}

static Listening *
bind_tcp(const ConfigListen *config, unsigned n_workers, GError **error)
{
    g_autoptr(Listening) listening = listening_new(config->is_tls);

    if (!peer_parse(config->address, &listening->peer, error))
        return NULL;
    for (unsigned i = 0; i < n_workers; i++) {
        int fd = peer_bind(&listening->peer, i == 0, error);

        if (fd < 0)
            return NULL;
        g_array_append_val(listening->sockets, fd);
    }
    set_uri(listening);
    return g_steal_pointer(&listening);
}

/* A socket stays behind when its server is killed. It is removed if nobody answers on it; anything else is not ours. */
static bool
remove_stale(const struct sockaddr_un *address, GError **error)
{
    g_auto(Fd) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT || error_set_errno(error, "%s", address->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(error, "%s: is there already, and no socket", address->sun_path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
        errno != ECONNREFUSED)
        return error_set(error, "%s: another server listens there", address->sun_path);
    return unlink(address->sun_path) == 0 || error_set_errno(error, "%s", address->sun_path);
}

static Listening *
bind_unix(const ConfigListen *config, unsigned n_workers, unsigned socket_mode, GError **error)
{
    g_autoptr(Listening) listening = listening_new(config->is_tls);
    const char *path = unix_path(config->address, error);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_auto(Fd) fd = -1;

    if (path == NULL)
        return NULL;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (!remove_stale(&address, error))
        return NULL;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        error_set_errno(error, "%s: cannot listen", path);
        return NULL;
    }
    listening->path = g_strdup(path);
    listening->peer.any.sa_family = AF_UNIX;
    listening->uri = g_strdup(config->address);
    /* Nobody can connect before listen(), so the mode is in time. */
    if (chmod(path, socket_mode) < 0) {
        error_set_errno(error, "%s", path);
        return NULL;
    }
    return share(listening, fd_steal(&fd), n_workers, error) ? g_steal_pointer(&listening) : NULL;
}

Listening *
listen_bind(const ConfigListen *config, unsigned n_workers, unsigned socket_mode, GError **error)
{
    return g_str_has_prefix(config->address, UNIX_PREFIX) ? bind_unix(config, n_workers, socket_mode, error)
                                                          : bind_tcp(config, n_workers, error);
}

static bool
is_listening_stream(int fd)
{
    int type = 0, is_listening = 0;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 && is_listening != 0;
}

Listening *
listen_adopt(int fd, const char *name, unsigned n_workers, GError **error)
{
    g_autoptr(Listening) listening = listening_new(strcmp(name, "tls") == 0 || strcmp(name, "https") == 0);
    g_auto(Fd) owned = fd;
    socklen_t size = sizeof listening->peer;
    int on = 1;

    if (!is_listening_stream(fd) || getsockname(fd, &listening->peer.any, &size) < 0) {
        error_set(error, "socket %d ('%s') of the service manager: not a stream socket that listens", fd,
                  name);
        return NULL;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
        error_set_errno(error, "socket %d ('%s') of the service manager", fd, name);
        return NULL;
    }
    if (listening->peer.any.sa_family == AF_UNIX) {
        listening->uri = g_strdup_printf(UNIX_PREFIX "%s", name);
    } else {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        set_uri(listening);
    }
    return share(listening, fd_steal(&owned), n_workers, error) ? g_steal_pointer(&listening) : NULL;
}

int
listen_take(Listening *listening, unsigned worker)
{
    return fd_steal(&g_array_index(listening->sockets, int, worker));
}
