// SPDX-License-Identifier: Apache-2.0
/* One progress line on a terminal. */
#include "base/progress.h"

#include "base/cli.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_US (G_USEC_PER_SEC / 10)
#define SHARED_BYTES 256 /* one write, in one page: a reader finds it whole, or sees that it is not */
#define SHARED_FORMAT "progress %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " "

struct Progress {
    char *label;
    uint64_t total;
    uint64_t done;
    uint64_t skipped; /* of those: not by work that has a rate */
    gint64 started_us;
    gint64 drawn_us, shared_us;
    pthread_mutex_t lock;
    bool is_visible;
    bool is_count;
};

static atomic_int shared_fd = -1;
static bool is_disabled; /* set once by main() before any thread */

void
progress_disable(void)
{
    is_disabled = true;
}

static void
share(Progress *progress, gint64 now)
{
    char text[SHARED_BYTES] = {0};
    int fd = shared_fd;

    progress->shared_us = now;
    g_snprintf(text, sizeof text, SHARED_FORMAT "%s", (guint64)progress->done, (guint64)progress->total,
               progress->label);
    if (fd >= 0 && pwrite(fd, text, sizeof text, 0) != (ssize_t)sizeof text)
        shared_fd = -1; /* a full disk, say */
}

Progress *
progress_new(const char *label, uint64_t total)
{
    Progress *progress = g_new0(Progress, 1);

    progress->label = cli_safe(label);
    progress->total = total;
    progress->started_us = g_get_monotonic_time();
    progress->is_visible = !is_disabled && isatty(STDERR_FILENO) != 0;
    pthread_mutex_init(&progress->lock, NULL);
    if (shared_fd >= 0)
        share(progress, progress->started_us);
    return progress;
}

Progress *
progress_new_count(const char *label, uint64_t total)
{
    Progress *progress = progress_new(label, total);

    progress->is_count = true;
    if (progress->is_visible) {
        progress->drawn_us = progress->started_us;
        fprintf(stderr, "%s  0 of %" G_GUINT64_FORMAT, progress->label, (guint64)total);
    }
    return progress;
}

static void
draw(Progress *progress, gint64 now)
{
    double seconds = (double)(now - progress->started_us) / G_USEC_PER_SEC;
    double rate = seconds > 0 ? (double)(progress->done - progress->skipped) / seconds : 0;
    g_autofree char *amount = cli_format_size(progress->done);
    g_autofree char *speed = cli_format_size((uint64_t)rate);

    progress->drawn_us = now;
    if (progress->is_count) {
        fprintf(stderr, "\r\033[K%s  %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT, progress->label,
                (guint64)progress->done, (guint64)progress->total);
        return;
    }
    if (progress->total == 0 || progress->done > progress->total || rate <= 0) {
        fprintf(stderr, "\r\033[K%s  %s  %s/s", progress->label, amount, speed);
        return;
    }
    fprintf(stderr, "\r\033[K%s  %3u %%  %s  %s/s  %u s left", progress->label,
            (unsigned)(100.0 * (double)progress->done / (double)progress->total), amount, speed,
            (unsigned)((double)(progress->total - progress->done) / rate));
}

void
progress_share(int fd)
{
    /* What was there is of a process that died. Where this fails nobody sees anything, and that is all. */
    if (fd >= 0 && ftruncate(fd, 0) < 0)
        fd = -1;
    shared_fd = fd;
}

bool
progress_read(int fd, char **out_label, uint64_t *out_done, uint64_t *out_total)
{
    char text[SHARED_BYTES];
    guint64 done, total;
    int label = 0;

    if (pread(fd, text, sizeof text, 0) != (ssize_t)sizeof text || text[sizeof text - 1] != '\0' ||
        sscanf(text, SHARED_FORMAT "%n", &done, &total, &label) != 2 || label == 0)
        return false;
    *out_label = cli_safe(text + label);
    *out_done = done;
    *out_total = total;
    return true;
}

/* The end is always shown, so that nobody takes 97 % for the last of it. */
static bool
is_due(const Progress *progress, gint64 now, gint64 last_us)
{
    return now - last_us >= REDRAW_US || progress->done == progress->total;
}

static void
update(Progress *progress, uint64_t value, bool is_sum)
{
    gint64 now;

    if (progress == NULL)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->done = is_sum ? progress->done + value : MAX(progress->done, value);
    now = g_get_monotonic_time();
    if (progress->is_visible && (progress->is_count || is_due(progress, now, progress->drawn_us)))
        draw(progress, now);
    if (shared_fd >= 0 && !progress->is_count && is_due(progress, now, progress->shared_us))
        share(progress, now);
    pthread_mutex_unlock(&progress->lock);
}

void
progress_skip(Progress *progress, uint64_t done)
{
    pthread_mutex_lock(&progress->lock);
    progress->done += done;
    progress->skipped += done;
    pthread_mutex_unlock(&progress->lock);
}

void
progress_set(Progress *progress, uint64_t done)
{
    update(progress, done, false);
}

void
progress_add(Progress *progress, uint64_t more)
{
    update(progress, more, true);
}

void
progress_free(Progress *progress)
{
    if (progress == NULL)
        return;
    if (progress->drawn_us != 0)
        fputs("\r\033[K", stderr);
    pthread_mutex_destroy(&progress->lock);
    g_free(progress->label);
    g_free(progress);
}
