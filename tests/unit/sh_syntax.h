// SPDX-License-Identifier: Apache-2.0
/* Whether a shell can read a script at all. */
#pragma once

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static inline void
assert_shell_reads(const char *script)
{
    const char *argv[] = {"sh", "-n", "-c", script, NULL};
    g_autofree char *told = NULL;
    int status = -1;

    assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &told, &status, NULL));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: %s", told, script);
}
