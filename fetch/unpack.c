// SPDX-License-Identifier: Apache-2.0
/* The side of the confined process that is not confined, and believes nothing that comes from it but after the fact. */
#include "fetch/unpack.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "fetch/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_PROGRAM "/proc/self/exe"
#define POLL_MS 200
#define MAX_MESSAGE 1024u

struct Unpack {
    char *name;
    uint64_t size;
    int wake, report;
    GPid pid; /* 0: it has ended */
};

/* A file in memory with a size that nobody can change. */
static int
memory_file(const char *name, uint64_t size, const void *content, GError **error)
{
    g_auto(Fd) fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        error_set_errno(error, "no file in memory can be made");
        return -1;
    }
    if (content != NULL && !fd_pwrite_all(fd, content, size, 0, name, error))
        return -1;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | (content != NULL ? F_SEAL_WRITE : 0)) < 0) {
        error_set_errno(error, "a file in memory cannot be sealed");
        return -1;
    }
    return fd_steal(&fd);
}

static bool
spawn(Unpack *unpack, const UnpackJob *job, const int *files, int wake, GError **error)
{
    static const int numbers[] = {UNPACK_FD_PART, UNPACK_FD_TAIL, UNPACK_FD_OUT, UNPACK_FD_REPORT};
    uint64_t tail_at = job->size - (job->tail != NULL ? g_bytes_get_size(job->tail) : 0);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, job->size);
    g_autofree char *tail = g_strdup_printf("%" G_GUINT64_FORMAT, tail_at);
    g_autofree char *max_raw = g_strdup_printf("%" G_GUINT64_FORMAT, job->max_raw);
    /* First the program's file, then what it is called. */
    const char *const argv[] = {OWN_PROGRAM, "virt-depot", FETCH_UNPACK_OPTION, job->name, size, tail,
                                max_raw,     NULL};
    const char *const no_environment[] = {NULL};

    if (!g_spawn_async_with_pipes_and_fds("/", argv, no_environment,
                                          G_SPAWN_FILE_AND_ARGV_ZERO | G_SPAWN_DO_NOT_REAP_CHILD |
                                              G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                                          NULL, NULL, wake, -1, -1, files, numbers, G_N_ELEMENTS(numbers),
                                          &unpack->pid, NULL, NULL, NULL, error)) {
        g_prefix_error(error, "%s: no process to unpack it can be started: ", job->name);
        return false;
    }
    return true;
}

Unpack *
unpack_start(const UnpackJob *job, GError **error)
{
    g_autoptr(Unpack) unpack = g_new0(Unpack, 1);
    g_auto(Fd) part = open(job->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), tail = -1, wake = -1;
    gsize tail_size = 0;
    const void *tail_data = job->tail != NULL ? g_bytes_get_data(job->tail, &tail_size) : "";
    int ends[2];

    *unpack = (Unpack){.name = g_strdup(job->name), .size = job->size, .wake = -1, .report = -1};
    if (part < 0) {
        error_set_errno(error, "%s: cannot open", job->path);
        return NULL;
    }
    tail = memory_file("tail", tail_size, tail_data, error);
    unpack->report = tail >= 0 ? memory_file("report", UNPACK_REPORT_MAX, NULL, error) : -1;
    if (unpack->report < 0)
        return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        error_set_errno(error, "no pair of sockets can be made");
        return NULL;
    }
    unpack->wake = ends[0];
    wake = ends[1];
    if (!spawn(unpack, job, (const int[]){part, tail, job->out_fd, unpack->report}, wake, error))
        return NULL;
    return g_steal_pointer(&unpack);
}

void
unpack_wake(Unpack *unpack)
{
    /* A full buffer will wake it too; that it is dead unpack_wait() finds out. */
    send(unpack->wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

uint64_t
unpack_used(const Unpack *unpack)
{
    uint64_t used = 0;

    return fd_pread(unpack->report, &used, sizeof used, offsetof(UnpackReport, used), "report", NULL) ==
                   (ssize_t)sizeof used
               ? MIN(used, unpack->size)
               : 0;
}

static int
reap(Unpack *unpack)
{
    int status = 0;

    while (waitpid(unpack->pid, &status, 0) < 0 && errno == EINTR)
        ;
    unpack->pid = 0;
    return status;
}

static DiskManifest *
read_manifest(const Unpack *unpack, const UnpackReport *report)
{
    g_autofree uint8_t *data = NULL;

    if (report->size == 0 || report->size > DISK_MANIFEST_MAX_BYTES)
        return NULL;
    data = g_malloc(report->size);
    return fd_pread_exact(unpack->report, data, report->size, sizeof *report, "report", NULL)
               ? disk_manifest_parse(data, report->size, unpack->name, NULL)
               : NULL;
}

static bool
set_message(const Unpack *unpack, const UnpackReport *report, GError **error)
{
    g_autofree char *text = g_malloc0(MAX_MESSAGE + 1);
    size_t size = MIN(report->size, MAX_MESSAGE);

    fd_pread(unpack->report, text, size, sizeof *report, "report", NULL);
    if (!g_utf8_validate(text, -1, NULL))
        g_strlcpy(text, "no reason that can be read", MAX_MESSAGE);
    return error_set(error, "%s", text);
}

static UnpackEnd
read_report(const Unpack *unpack, int status, DiskManifest **out_manifest, GError **error)
{
    UnpackReport report = {0};

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        fd_pread(unpack->report, &report, sizeof report, 0, "report", NULL);
    if (report.state == UNPACK_REPORT_DONE) {
        *out_manifest = read_manifest(unpack, &report);
        return UNPACK_DONE;
    }
    if (report.state == UNPACK_REPORT_ERROR) {
        set_message(unpack, &report, error);
        return UNPACK_FAILED;
    }
    if (WIFSIGNALED(status))
        error_set(error, "%s: the process that unpacks it was killed by signal %d (%s); %s", unpack->name,
                  WTERMSIG(status), strsignal(WTERMSIG(status)),
                  WTERMSIG(status) == SIGSYS ? "it tried what the sandbox forbids"
                                             : "its file may be made to break or exhaust whoever decodes it");
    else
        error_set(error, "%s: the process that unpacks it ended without a result (status %d)", unpack->name,
                  WIFEXITED(status) ? WEXITSTATUS(status) : status);
    return UNPACK_DIED;
}

UnpackEnd
unpack_wait(Unpack *unpack, Progress *progress, DiskManifest **out_manifest, GError **error)
{
    struct pollfd end = {.fd = unpack->wake}; /* its end alone: what it may say there is nothing */
    int status;

    unpack_wake(unpack);
    do {
        if (!interrupt_check(error))
            return UNPACK_FAILED;
        progress_set(progress, unpack_used(unpack));
    } while (poll(&end, 1, POLL_MS) <= 0);
    status = reap(unpack);
    if (!interrupt_check(error)) /* Ctrl-C ends both */
        return UNPACK_FAILED;
    return read_report(unpack, status, out_manifest, error);
}

void
unpack_free(Unpack *unpack)
{
    if (unpack == NULL)
        return;
    if (unpack->pid != 0) {
        kill(unpack->pid, SIGKILL);
        reap(unpack);
    }
    fd_close(unpack->wake);
    fd_close(unpack->report);
    g_free(unpack->name);
    g_free(unpack);
}
