// SPDX-License-Identifier: Apache-2.0
/* Datagrams to the service manager, and its environment variables. */
#include "repod/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_SOCKETS 64

void
notify_send(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path == NULL ? 0 : strlen(path);
    int fd;

    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* an abstract name: its length counts, not a NUL */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Nothing can be done about a manager that does not listen. */
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}

/* Whether @name is unset or names this process: a child of it inherits the variables of its parent. */
static bool
is_for_us(const char *name, bool if_unset)
{
    const char *text = g_getenv(name);
    guint64 pid;

    if (text == NULL)
        return if_unset;
    return g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT32, &pid, NULL) && (pid_t)pid == getpid();
}

uint64_t
notify_watchdog_us(void)
{
    const char *text = g_getenv("WATCHDOG_USEC");
    guint64 interval;

    return text != NULL && is_for_us("WATCHDOG_PID", true) &&
                   g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &interval, NULL)
               ? interval
               : 0;
}

unsigned
notify_sockets(char ***out_names)
{
    const char *text = g_getenv("LISTEN_FDS");
    g_auto(GStrv) given =
        g_strsplit(g_getenv("LISTEN_FDNAMES") != NULL ? g_getenv("LISTEN_FDNAMES") : "", ":", -1);
    guint64 n = 0;

    if (text == NULL || !is_for_us("LISTEN_PID", false) ||
        !g_ascii_string_to_unsigned(text, 10, 1, MAX_SOCKETS, &n, NULL))
        n = 0;
    *out_names = g_new0(char *, n + 1);
    for (guint i = 0, n_given = g_strv_length(given); i < n; i++)
        (*out_names)[i] = g_strdup(i < n_given ? given[i] : "unknown");
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    return (unsigned)n;
}
