// fuzz: index
// SPDX-License-Identifier: Apache-2.0
/* Any bytes as both files of simplestreams: what comes out is as safe to use as an entry of an index text. */
#include "index/index.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_path(const char *path)
{
    g_assert_true(*path != '\0' && *path != '/' && strstr(path, "://") == NULL);
    g_assert_true(strcmp(path, "..") != 0 && !g_str_has_prefix(path, "../") && strstr(path, "/../") == NULL &&
                  !g_str_has_suffix(path, "/.."));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) text = g_bytes_new(data, size);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    g_autoptr(Index) index = index_new();
    g_auto(GStrv) paths = index_streams_paths(text, "fuzz", NULL);

    for (char **path = paths; path != NULL && *path != NULL; path++)
        check_path(*path);
    index_streams_add(text, "fuzz", index, problems, NULL);
    for (guint i = 0; i < index->entries->len; i++) {
        IndexEntry *entry = g_ptr_array_index(index->entries, i);

        check_path(entry->file);
        entry->size = 1; /* as after a pull, when it is written down */
        g_assert_true(index_entry_validate(entry, NULL));
    }
    if (index->entries->len <= INDEX_MAX_PRINT_ENTRIES) {
        g_autofree char *printed = index_print(index, NULL);

        g_assert_nonnull(printed);
    }
    return 0;
}
