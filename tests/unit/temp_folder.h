// SPDX-License-Identifier: Apache-2.0
/* A folder for each test of a program: make_dir() and remove_dir() are its setup and teardown, dir its path. */
#pragma once

#include "base/file.h"

static char *dir;

static inline int
make_dir(void **state G_GNUC_UNUSED)
{
    dir = g_dir_make_tmp("vdXXXXXX", NULL);
    return dir == NULL;
}

static inline int
remove_dir(void **state G_GNUC_UNUSED)
{
    file_remove_tree(dir, NULL);
    g_free(dir);
    return 0;
}
