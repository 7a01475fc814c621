// SPDX-License-Identifier: Apache-2.0
/* A hidden folder of one's own beside a file that is being made. It goes with all that it holds; a killed run's goes when the
 * next one is made in the same place. */
#pragma once

#include "base/fd.h"

typedef struct {
    char *path;
    Fd lock; /* held for as long as the folder is in use */
} Staging;
#define STAGING_NONE                                                                                         \
    {                                                                                                        \
        .lock = -1                                                                                           \
    }

/** staging_clear: remove the folder. */
void staging_clear(Staging *staging);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Staging, staging_clear)

/** staging_make: a folder in @dir that nobody else can look into; those of killed runs are removed. */
bool staging_make(const char *dir, Staging *out_staging, GError **error);
