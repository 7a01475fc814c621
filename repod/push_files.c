// SPDX-License-Identifier: Apache-2.0
/* The files that a pushed index names. Their content was verified when they came: a blob has the name of its digest. */
#include "repod/push_check.h"

#include <string.h>

#define BLOBS "blobs/"

/* check_file: @size 0: any. */
static bool
check_file(Store *store, const IndexEntry *entry, const char *path, uint64_t size, GError **error)
{
    g_auto(Fd) fd = -1;
    uint64_t found;

    if (!store_is_blob(path))
        return error_set(error, "index:%u: %s: '%s' is not named by its digest below blobs/", entry->line,
                         entry->name, path);
    fd = store_open_blob(store, path, NULL);
    if (fd < 0 || !fd_size(fd, path, &found, NULL))
        return error_set(error, "index:%u: %s: %s has not been uploaded", entry->line, entry->name, path);
    return size == 0 || size == found ||
           error_set(error, "index:%u: %s: %s has %" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT,
                     entry->line, entry->name, path, found, size);
}

static bool
check_entry(Store *store, const IndexEntry *entry, GError **error)
{
    if (!check_file(store, entry, entry->file, entry->compressed_size, error))
        return false;
    if (entry->sha512 == NULL || strcmp(entry->sha512, strrchr(entry->file, '/') + 1) != 0)
        return error_set(error, "index:%u: %s: checksum[sha512] is not the one in its file's name",
                         entry->line, entry->name);
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);

        if (g_str_has_prefix(field->value, BLOBS) && !check_file(store, entry, field->value, 0, error))
            return false;
    }
    return true;
}

bool
push_check_files(Store *store, const Index *index, GError **error)
{
    for (guint i = 0; i < index->entries->len; i++)
        if (!check_entry(store, g_ptr_array_index(index->entries, i), error))
            return false;
    return true;
}
