// SPDX-License-Identifier: Apache-2.0
/* The two questions that a supervisor and a load balancer ask. */
#include "repod/health.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

/* Less than this on a disk and the next upload, publication or log line may be the one that fails. */
#define MIN_FREE_BYTES (16u << 20)

/* Each loop is woken and has to say so; a loop that hangs does not. Called with the lock held. */
static bool
has_answered(const Shared *shared, const unsigned *before)
{
    for (guint i = 0; i < shared->workers->len; i++)
        if (((const Worker *)g_ptr_array_index(shared->workers, i))->n_beats == before[i])
            return false;
    return true;
}

bool
health_loops(Shared *shared, int64_t timeout_us)
{
    const guint n = shared->workers->len;
    g_autofree unsigned *before = g_new0(unsigned, MAX(n, 1));
    struct timespec until;
    bool is_ok;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_us / G_USEC_PER_SEC) +
                    (until.tv_nsec + timeout_us % G_USEC_PER_SEC * 1000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + timeout_us % G_USEC_PER_SEC * 1000) % 1000000000;
    pthread_mutex_lock(&shared->beat_lock);
    for (guint i = 0; i < n; i++) {
        const Worker *worker = g_ptr_array_index(shared->workers, i);

        before[i] = worker->n_beats;
        worker_wake(worker);
    }
    while (!(is_ok = has_answered(shared, before)) &&
           pthread_cond_timedwait(&shared->beat, &shared->beat_lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&shared->beat_lock);
    return is_ok;
}

/* check_folder: NULL, or what is wrong with it. */
static const char *
check_folder(const Site *site)
{
    g_auto(Fd) fd = file_open_beneath(site->root, ".", O_RDONLY | O_DIRECTORY, NULL);
    struct statvfs disk;

    if (fd < 0 || fstatvfs(fd, &disk) < 0)
        return "the folder cannot be read";
    if (disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES)
        return "the disk is full";
    return NULL;
}

bool
health_ready(const Shared *shared, const Runtime *runtime, GString *details)
{
    bool is_ready = atomic_load(&shared->stop_level) == STOP_NOT;

    if (!is_ready)
        g_string_append(details, "stopping\n");
    for (guint i = 0; i < runtime->sites->len; i++) {
        const Site *site = g_ptr_array_index(runtime->sites, i);
        const char *fault = check_folder(site);
        g_autoptr(ShelfView) view = shelf_read(site->shelf);

        /* An index that has expired has done so everywhere: no reason to send clients to another server. */
        if (fault == NULL && view->catalogue->is_broken)
            fault = "the index is broken";
        is_ready &= fault == NULL;
        g_string_append_printf(details, "%s: %s", site->config->name, fault != NULL ? fault : "ok");
        if (view->catalogue->problem != NULL)
            g_string_append_printf(details, "; no catalogue: %s",
                                   view->catalogue->detail != NULL ? view->catalogue->detail
                                                                   : view->catalogue->problem);
        g_string_append_c(details, '\n');
    }
    return is_ready;
}
