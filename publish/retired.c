// SPDX-License-Identifier: Apache-2.0
/* The revisions that removed images had. */
#include "publish/retired.h"

#include "base/json.h"

#include <string.h>

#define NOTES "retired.json"
#define MAX_NOTES (16u << 20) /* a hundred thousand images of the longest names take half of it */

static char *
identity(const char *name, const char *arch)
{
    return g_strdup_printf("%s %s", name, index_normal_arch(arch));
}

/* read_notes: (transfer full) an empty object where nothing was removed yet. */
static Json *
read_notes(Store *store, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GBytes) bytes = store_read_private(store, NOTES, MAX_NOTES, &local);
    gsize size;
    const char *text;

    if (bytes == NULL && g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return json_new_object();
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    text = g_bytes_get_data(bytes, &size);
    return json_parse(text, size, NOTES, error);
}

bool
publish_retired_add(Store *store, const GPtrArray *entries, GError **error)
{
    g_autoptr(Json) notes = read_notes(store, error);
    g_autofree char *text = NULL;

    if (notes == NULL)
        return false;
    for (guint i = 0; i < entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(entries, i);
        g_autofree char *key = identity(entry->name, entry->arch);

        if (json_get_number(notes, key, 0) < (int64_t)entry->revision)
            json_set_number(notes, key, (int64_t)entry->revision);
    }
    text = json_print(notes);
    return store_write_private(store, NOTES, text, strlen(text), error);
}

bool
publish_retired_lookup(Store *store, const char *name, const char *arch, uint64_t *out_revision,
                       GError **error)
{
    g_autoptr(Json) notes = read_notes(store, error);
    g_autofree char *key = identity(name, arch);

    if (notes == NULL)
        return false;
    *out_revision = (uint64_t)json_get_number(notes, key, 0);
    return true;
}
