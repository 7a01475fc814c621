// SPDX-License-Identifier: Apache-2.0
/* Data of other projects that is not committed: where it lies. Include after cmocka's own needs. */
#pragma once

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** data_folder: (transfer full) VIRT_DEPOT_DATA, or its default beside the source tree. The test that asks ends here as
 * skipped where there is none; ask before anything is allocated. */
static inline char *
data_folder(void)
{
    const char *set = g_getenv("VIRT_DEPOT_DATA");
    char *folder = set != NULL ? g_strdup(set) : g_build_filename(VD_SOURCE_DIR, "../shared/data", NULL);

    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        print_message("skipped: there is no test data in %s (VIRT_DEPOT_DATA)\n", folder);
        g_free(folder);
        skip();
    }
    return folder;
}
