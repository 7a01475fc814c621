// fuzz: mirror
// SPDX-License-Identifier: Apache-2.0
/* Whatever an index says: no name leaves the folder, and no two files have one. */
#include "mirror/wants.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const MirrorFile *file)
{
    for (guint i = 0; i < file->names->len; i++) {
        const char *name = g_ptr_array_index(file->names, i);

        if (!store_is_link_name(name) || *name == '/' || strstr(name, "..") == name ||
            strstr(name, "/../") != NULL)
            abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GBytes) text = g_bytes_new(data, size);
    g_autoptr(Index) index = index_parse(text, "fuzz", NULL, NULL);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)mirror_file_free);
    g_autoptr(GHashTable) by_key = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; index != NULL && i < index->entries->len; i++)
        mirror_wants(g_ptr_array_index(index->entries, i), true, files, by_key, by_name, NULL);
    for (guint i = 0; i < files->len; i++)
        check(g_ptr_array_index(files, i));
    return 0;
}
