// SPDX-License-Identifier: Apache-2.0
/* Patterns, architectures, and the newest versions of each operating system. */
#include "mirror/choose.h"

#include <string.h>

static bool
matches_any(const char *const *patterns, const char *text)
{
    for (const char *const *pattern = patterns; text != NULL && *pattern != NULL; pattern++)
        if (g_pattern_match_simple(*pattern, text))
            return true;
    return false;
}

static bool
has_name(const IndexEntry *entry, const char *const *patterns)
{
    if (patterns == NULL || matches_any(patterns, entry->name))
        return true;
    for (char **alias = entry->aliases; alias != NULL && *alias != NULL; alias++)
        if (matches_any(patterns, *alias))
            return true;
    return false;
}

static bool
is_chosen(const IndexEntry *entry, const MirrorChoice *choice)
{
    return has_name(entry, choice->images) &&
           (choice->os_infos == NULL || matches_any(choice->os_infos, entry->osinfo)) &&
           (choice->arch == NULL || strcmp(index_normal_arch(entry->arch), choice->arch) == 0);
}

/* version_of: where the number at the end of what names the system begins: "22.04" of "ubuntu22.04". */
static const char *
version_of(const char *system)
{
    const char *at = system + strlen(system);

    while (at > system && (g_ascii_isdigit(at[-1]) || at[-1] == '.'))
        at--;
    return at + strspn(at, ".");
}

static const char *
system_of(const IndexEntry *entry)
{
    return entry->osinfo != NULL ? entry->osinfo : entry->name;
}

/* family: (transfer full) one operating system on one architecture. */
static char *
family(const IndexEntry *entry)
{
    const char *system = system_of(entry), *version = version_of(system);

    return g_strdup_printf("%.*s %s", (int)(version - system), system, index_normal_arch(entry->arch));
}

static int
compare_versions(const void *a, const void *b)
{
    return index_version_compare(*(const char *const *)b, *(const char *const *)a);
}

/* sort_versions: family -> (element-type utf8) each of its versions once, newest first; borrowed from @entries. */
static GHashTable *
sort_versions(const GPtrArray *entries)
{
    GHashTable *families =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    GHashTableIter iter;
    gpointer versions;

    for (guint i = 0; i < entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(entries, i);
        g_autofree char *name = family(entry);

        versions = g_hash_table_lookup(families, name);
        if (versions == NULL)
            g_hash_table_insert(families, g_steal_pointer(&name), versions = g_ptr_array_new());
        g_ptr_array_add(versions, (gpointer)version_of(system_of(entry)));
    }
    g_hash_table_iter_init(&iter, families);
    while (g_hash_table_iter_next(&iter, NULL, &versions)) {
        GPtrArray *all = versions;
        guint n = 0;

        g_ptr_array_sort(all, compare_versions);
        for (guint i = 0; i < all->len; i++)
            if (n == 0 || index_version_compare(all->pdata[n - 1], all->pdata[i]) != 0)
                all->pdata[n++] = all->pdata[i];
        g_ptr_array_set_size(all, (gint)n);
    }
    return families;
}

static bool
is_new_enough(const IndexEntry *entry, GHashTable *families, unsigned newest)
{
    g_autofree char *name = family(entry);
    const GPtrArray *versions = g_hash_table_lookup(families, name);
    const char *version = version_of(system_of(entry));

    return *version == '\0' || versions->len <= newest ||
           index_version_compare(version, g_ptr_array_index(versions, newest - 1)) >= 0;
}

GPtrArray *
mirror_choose(const Index *index, const MirrorChoice *choice)
{
    g_autoptr(GPtrArray) matching = g_ptr_array_new();
    g_autoptr(GHashTable) families = NULL;
    GPtrArray *chosen;

    for (guint i = 0; i < index->entries->len; i++)
        if (is_chosen(g_ptr_array_index(index->entries, i), choice))
            g_ptr_array_add(matching, g_ptr_array_index(index->entries, i));
    if (choice->newest == 0)
        return g_steal_pointer(&matching);
    families = sort_versions(matching);
    chosen = g_ptr_array_new();
    for (guint i = 0; i < matching->len; i++)
        if (is_new_enough(g_ptr_array_index(matching, i), families, choice->newest))
            g_ptr_array_add(chosen, g_ptr_array_index(matching, i));
    return chosen;
}
