// SPDX-License-Identifier: Apache-2.0
/* Packing and unpacking. */
#include "fetch/bundle.h"

#include <string.h>

#define MAX_LINE 4096 /* a path and a tag */

void
bundle_file_free(BundleFile *file)
{
    if (file == NULL)
        return;
    g_free(file->path);
    g_free(file->etag);
    g_clear_pointer(&file->body, g_bytes_unref);
    g_free(file);
}

GBytes *
bundle_pack(const GPtrArray *files)
{
    g_autoptr(GByteArray) packed = g_byte_array_new();

    for (guint i = 0; i < files->len; i++) {
        const BundleFile *file = g_ptr_array_index(files, i);
        gsize size;
        const void *data = g_bytes_get_data(file->body, &size);
        g_autofree char *line = g_strdup_printf("%s %" G_GSIZE_FORMAT " %s\n", file->path, size,
                                                file->etag == NULL ? "" : file->etag);

        g_byte_array_append(packed, (const guint8 *)line, (guint)strlen(line));
        if (size > 0)
            g_byte_array_append(packed, data, (guint)size);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&packed));
}

/* The file at *@at, which moves behind it; NULL where there is none. */
static BundleFile *
take_file(GBytes *packed, gsize *at)
{
    gsize size;
    const char *data = g_bytes_get_data(packed, &size), *start = data + *at;
    const char *end = memchr(start, '\n', MIN(size - *at, MAX_LINE));
    g_autofree char *line = end == NULL ? NULL : g_strndup(start, (gsize)(end - start));
    g_auto(GStrv) words = line == NULL ? NULL : g_strsplit(line, " ", 3);
    g_autoptr(BundleFile) file = NULL;
    guint64 length;

    if (words == NULL || g_strv_length(words) != 3)
        return NULL;
    *at = (gsize)(end + 1 - data);
    if (!g_ascii_string_to_unsigned(words[1], 10, 0, size - *at, &length, NULL))
        return NULL;
    file = g_new0(BundleFile, 1);
    file->path = g_strdup(words[0]);
    file->etag = *words[2] == '\0' ? NULL : g_strdup(words[2]);
    file->body = g_bytes_new_from_bytes(packed, *at, (gsize)length);
    *at += (gsize)length;
    return g_steal_pointer(&file);
}

GPtrArray *
bundle_unpack(GBytes *packed, guint max_files)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)bundle_file_free);
    gsize at = 0;

    while (at < g_bytes_get_size(packed)) {
        BundleFile *file = files->len < max_files ? take_file(packed, &at) : NULL;

        if (file == NULL)
            return NULL;
        g_ptr_array_add(files, file);
    }
    return g_steal_pointer(&files);
}

const BundleFile *
bundle_lookup(const GPtrArray *files, const char *path)
{
    for (guint i = 0; files != NULL && i < files->len; i++) {
        const BundleFile *file = g_ptr_array_index(files, i);

        if (strcmp(file->path, path) == 0)
            return file;
    }
    return NULL;
}
