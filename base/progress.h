// SPDX-License-Identifier: Apache-2.0
/* One progress line on stderr: label, percent, amount, rate, time left. Nothing where stderr is no terminal
 * or after progress_disable(). Updates may come from any thread. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Progress Progress;

/** progress_new: @label such as "download debian-12"; @total in bytes, 0 where it is not known. */
Progress *progress_new(const char *label, uint64_t total);

/** progress_new_count: the same for @total things that are no bytes: "customize  2 of 5". */
Progress *progress_new_count(const char *label, uint64_t total);

/** progress_skip: @done bytes were there before: they count, but not for the rate and the time left. */
void progress_skip(Progress *progress, uint64_t done);

/** progress_set: @done bytes (or things) in all; it never goes back. Redraws at most ten times a second, and at the end. A NULL @progress
 * is ignored. */
void progress_set(Progress *progress, uint64_t done);

/** progress_add: @more bytes since the last call. */
void progress_add(Progress *progress, uint64_t more);

/** progress_free: clear the line. */
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)

/**
 * progress_share: from now on each progress in bytes is also written into the file @fd, shown or not, for other processes;
 * what it held is cut off. One file at a time; @fd is borrowed, and -1 ends it.
 */
void progress_share(int fd);

/** progress_read: what another process shares in @fd. Returns: false where there is nothing, or nothing whole */
bool progress_read(int fd, char **out_label, uint64_t *out_done, uint64_t *out_total);

/** progress_disable: draw nothing from now on (--quiet, --json). */
void progress_disable(void);
