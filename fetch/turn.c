// SPDX-License-Identifier: Apache-2.0
#include "fetch/turn.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000 /* a tenth of a second: as often as a progress is drawn */

/* Another process's progress as our own line. Its label tells the phase: a new one begins a new line. */
typedef struct {
    Progress *progress;
    char *label;
} Shown;

static void
shown_clear(Shown *shown)
{
    progress_free(shown->progress);
    g_free(shown->label);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Shown, shown_clear)

static void
show(Shown *shown, const char *path)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    g_autofree char *label = NULL, *text = NULL;
    uint64_t done, total;

    if (fd < 0 || !progress_read(fd, &label, &done, &total))
        return;
    if (g_strcmp0(label, shown->label) != 0) {
        shown_clear(shown);
        text = g_strdup_printf("another process: %s", label);
        *shown = (Shown){progress_new(text, total), g_steal_pointer(&label)};
        progress_skip(shown->progress, done);
    }
    progress_set(shown->progress, done);
}

bool
turn_take(const CacheKey *key, Turn *out_turn, GError **error)
{
    g_autofree char *path = cache_lock_path(key);
    g_auto(Shown) shown = {0};
    int lock;

    for (;;) {
        g_autoptr(GError) problem = NULL;
        const struct timespec pause = {.tv_nsec = LOOK_NS};

        lock = file_lock(path, false, &problem);
        if (lock >= 0)
            break;
        if (!g_error_matches(problem, BASE_ERROR, BASE_ERROR_EXISTS)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        show(&shown, path);
        nanosleep(&pause, NULL); /* a signal ends it early */
        if (!interrupt_check(error))
            return false;
    }
    progress_share(lock);
    *out_turn = (Turn){g_steal_pointer(&path), lock};
    return true;
}

void
turn_end(Turn *turn)
{
    if (turn->path == NULL)
        return;
    progress_share(-1);
    unlink(turn->path); /* under the lock: who waits for it sees that it lost its name */
    fd_close(turn->lock);
    g_clear_pointer(&turn->path, g_free);
}
