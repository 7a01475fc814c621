// SPDX-License-Identifier: Apache-2.0
/*
 * A few words on each verified image, below path_state()/sealed: the size and time of its file when it was verified, so that a
 * use need not hash it again and yet notices a file that was cut or written to; and, as their own file's time, its last use.
 */
#pragma once

#include "fetch/cache.h"

#include <sys/stat.h>

typedef enum {
    SEAL_NONE,   /* nothing is known of this file */
    SEAL_INTACT, /* it is as it was verified */
    SEAL_BROKEN, /* it was changed since */
} SealState;

/** seal_write: @path, open as @fd, holds the image @id and was verified now. */
bool seal_write(const char *id, const char *path, int fd, GError **error);

/** seal_renew: it was verified as it was when it had @status; and checking an image is no use of it. */
bool seal_renew(const char *id, const char *path, const struct stat *status, GError **error);

SealState seal_check(const char *id, const char *path, int fd);

/** seal_touch: the image is used now. Where that cannot be noted it is as good as not used. */
void seal_touch(const char *id);

/** seal_last_used: unix seconds; 0: not known. */
int64_t seal_last_used(const char *id);

void seal_forget(const char *id);
