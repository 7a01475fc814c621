// SPDX-License-Identifier: Apache-2.0
/* Running qemu-img convert as a child. */
#include "disk/disk.h"

#include "base/fd.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_MEMORY (4ull << 30) /* of address space: qemu-img maps 200 MB, and a grain table or two */
#define MAX_FILE (8ull << 40)   /* what a manifest can describe */
#define MAX_FILES 64
#define MAX_MESSAGE 2048u
#define INTERRUPT_POLL_MS 500

typedef struct {
    int in_fd, out_fd;
    pid_t parent;
} Child;

/* In the child, between fork and exec: system calls only. */
static void
limit_child(gpointer data)
{
    const Child *child = data;
    const struct rlimit memory = {MAX_MEMORY, MAX_MEMORY}, file = {MAX_FILE, MAX_FILE},
                        files = {MAX_FILES, MAX_FILES};
    const struct rlimit core = {0, 0};

    fcntl(child->in_fd, F_SETFD, 0);
    fcntl(child->out_fd, F_SETFD, 0);
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_FSIZE, &file);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &core);
    signal(SIGPIPE, SIG_DFL);
    /* It holds the output's lock, too: were it to live on after a kill -9, the file would not be swept. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != child->parent)
        _exit(127);
}

/* What it says, at most MAX_MESSAGE bytes; the rest is read and dropped, so that it never blocks. */
static char *
read_messages(int fd, pid_t pid)
{
    g_autoptr(GString) text = g_string_new(NULL);
    bool is_killed = false;

    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        char buffer[512];
        ssize_t n;

        if (!is_killed && interrupt_signal() != 0) {
            kill(pid, SIGKILL);
            is_killed = true;
        }
        /* A signal that comes just before the call does not end it: look again now and then. */
        if (poll(&ready, 1, INTERRUPT_POLL_MS) <= 0)
            continue;
        n = read(fd, buffer, sizeof buffer);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0)
            g_string_append_len(text, buffer, MIN(n, (ssize_t)(MAX_MESSAGE - text->len)));
    }
    g_strdelimit(g_strstrip(text->str), "\n", ' ');
    return g_strdup(text->str);
}

static int
wait_for(pid_t pid)
{
    int status = -1; /* neither an exit nor a signal: what cannot be waited for has not succeeded */

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

bool
disk_convert(int in_fd, const char *name, const char *format, int out_fd, GError **error)
{
    /* By number: a file's name could be read as a protocol, and could by now be another file. */
    g_autofree char *in =
        g_strdup_printf("json:{\"driver\":\"%s\",\"backing\":null,\"read-only\":true,\"file\":"
                        "{\"driver\":\"file\",\"locking\":\"off\",\"filename\":\"/proc/self/fd/%d\"}}",
                        format, in_fd);
    g_autofree char *out = g_strdup_printf("/proc/self/fd/%d", out_fd);
    const char *argv[] = {"qemu-img", "convert", "-O", "raw", "--", in, out, NULL};
    Child child = {in_fd, out_fd, getpid()};
    g_auto(Fd) messages = -1;
    g_autofree char *text = NULL;
    GPid pid;
    int status;

    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                  G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                      G_SPAWN_STDOUT_TO_DEV_NULL,
                                  limit_child, &child, &pid, NULL, NULL, &messages, error)) {
        g_prefix_error(error, "%s: cannot be converted to raw: ", name);
        return false;
    }
    text = read_messages(messages, pid);
    status = wait_for(pid);
    if (!interrupt_check(error))
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    return error_set(error, "%s: qemu-img cannot convert it to raw: %s", name,
                     text[0] != '\0' ? text : "it gave no reason");
}
