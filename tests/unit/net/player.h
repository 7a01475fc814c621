// SPDX-License-Identifier: Apache-2.0
/* A server in a child process that plays back answers, one a connection. */
#pragma once

#include "base/fd.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    pid_t child;
    char *url;
} Player;

/* Answer one connection: read the request's head, write @answer, close. */
static inline void
play_one(int listener, const char *answer)
{
    g_auto(Fd) fd = accept(listener, NULL, NULL);
    char request[4096] = "";
    size_t used = 0;
    ssize_t n;

    while (strstr(request, "\r\n\r\n") == NULL &&
           (n = read(fd, request + used, sizeof(request) - 1 - used)) > 0)
        used += (size_t)n;
    fd_write_all(fd, answer, strlen(answer), "client", NULL);
}

/* A server that gives @answers, a NULL-terminated list, to one connection after another. */
static inline void
player_start(Player *player, const char *const *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    g_auto(Fd) listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    player->url = g_strdup_printf("http://127.0.0.1:%u/x", ntohs(address.sin_port));
    player->child = fork();
    assert_true(player->child >= 0);
    if (player->child == 0) {
        signal(SIGPIPE, SIG_IGN);
        for (; *answers != NULL; answers++)
            play_one(listener, *answers);
        _exit(0);
    }
}

static inline void
player_stop(Player *player)
{
    kill(player->child, SIGKILL);
    waitpid(player->child, NULL, 0);
    g_free(player->url);
}

#define HEAD(status, headers) "HTTP/1.1 " status "\r\nConnection: close\r\n" headers "\r\n"
