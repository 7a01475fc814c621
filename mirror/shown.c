// SPDX-License-Identifier: Apache-2.0
/* New names, and old ones for the grace period. */
#include "mirror/shown.h"

#include "store/store.h"

#include <string.h>

/* folders_of: (transfer full) the set of the folders that names lie in. */
static GHashTable *
folders_of(GHashTable *by_name)
{
    GHashTable *folders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, by_name);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
            g_hash_table_add(folders, g_strndup(name, (gsize)(slash - (const char *)name)));
    return folders;
}

/* is_in_the_way: whether the old @name is a folder now, or lies in what is a file now. */
static bool
is_in_the_way(GHashTable *by_name, GHashTable *folders, const char *name)
{
    g_autofree char *folder = g_strdup(name);

    if (g_hash_table_contains(folders, name))
        return true;
    for (char *slash = strrchr(folder, '/'); slash != NULL; slash = strrchr(folder, '/')) {
        *slash = '\0';
        if (g_hash_table_contains(by_name, folder))
            return true;
    }
    return false;
}

/* is_over: whether the index has had no @name for longer than @grace. That it has it no more is noted. */
static bool
is_over(GHashTable *gone, const char *name, int64_t now, int64_t grace)
{
    const char *since = g_hash_table_lookup(gone, name);

    if (since != NULL) /* clocks of file systems are coarse: an age of 0 includes this second */
        return g_ascii_strtoll(since, NULL, 10) < now - grace + 1;
    g_hash_table_replace(gone, g_strdup(name), g_strdup_printf("%" G_GINT64_FORMAT, now));
    return false;
}

static gboolean
is_no_old_name(gpointer name, gpointer since G_GNUC_UNUSED, gpointer old)
{
    return !g_hash_table_contains(old, name);
}

GHashTable *
mirror_shown(GHashTable *by_name, GHashTable *before, GHashTable *gone, int64_t now, int64_t grace)
{
    GHashTable *shown = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GHashTable) folders = folders_of(by_name), old = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    gpointer name, value;

    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        if (g_hash_table_contains(by_name, name) || !store_is_link_name(name) ||
            is_in_the_way(by_name, folders, name) || is_over(gone, name, now, grace))
            continue;
        g_hash_table_insert(shown, g_strdup(name), g_strdup(value));
        g_hash_table_add(old, name);
    }
    g_hash_table_foreach_remove(gone, is_no_old_name, old);
    g_hash_table_iter_init(&iter, by_name);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const char *sha512 = ((const MirrorFile *)value)->sha512;

        g_hash_table_insert(shown, g_strdup(name), g_strdup_printf("blobs/sha512/%.2s/%s", sha512, sha512));
    }
    return shown;
}
