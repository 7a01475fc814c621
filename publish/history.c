// SPDX-License-Identifier: Apache-2.0
/* Versions compared: references, what may go, and revisions that never go back. */
#include "publish/history.h"

#include <string.h>

#define BLANKS " \t\r" /* that index_parse() leaves out before a value */

void
publish_add_references(GHashTable *blobs, const Index *index)
{
    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (store_is_blob(entry->file))
            g_hash_table_add(blobs, g_strdup(entry->file));
        for (guint j = 0; j < entry->extensions->len; j++) {
            const IndexField *field = g_ptr_array_index(entry->extensions, j);

            if (store_is_blob(field->value))
                g_hash_table_add(blobs, g_strdup(field->value));
        }
    }
}

void
publish_add_text_references(GHashTable *blobs, GBytes *text)
{
    g_autofree char *copy = g_strndup(g_bytes_get_data(text, NULL), g_bytes_get_size(text));
    g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);

    for (char **line = lines; *line != NULL; line++) {
        const char *equals = strchr(g_strchomp(*line), '=');
        const char *value = equals != NULL ? equals + 1 + strspn(equals + 1, BLANKS) : NULL;

        if (value != NULL && store_is_blob(value))
            g_hash_table_add(blobs, g_strdup(value));
    }
}

/* body: @index as text without its header comments. (transfer full) (nullable) */
static char *
body(const Index *index)
{
    g_autofree char *text = index_print(index, NULL);
    const char *start = text != NULL ? strstr(text, "\n\n") : NULL;

    return g_strdup(start);
}

bool
publish_is_same_content(const Index *first, const Index *second)
{
    g_autofree char *a = body(first);
    g_autofree char *b = body(second);

    return a != NULL && g_strcmp0(a, b) == 0;
}

GArray *
publish_choose_old(const GArray *generations, unsigned keep, int64_t before)
{
    GArray *old = g_array_new(FALSE, FALSE, sizeof(guint64));

    for (guint i = 0; i + MAX(keep, 1) < generations->len; i++) {
        const StoreGeneration *generation = &g_array_index(generations, StoreGeneration, i);
        const StoreGeneration *next = &g_array_index(generations, StoreGeneration, i + 1);

        if (next->written < before)
            g_array_append_val(old, generation->version);
    }
    return old;
}

GArray *
publish_choose_resigned(const GArray *generations, const GPtrArray *indexes, unsigned keep)
{
    GArray *chosen = g_array_new(FALSE, FALSE, sizeof(guint64));

    for (guint i = 0; i + MAX(keep, 1) < generations->len; i++) {
        const Index *index = g_ptr_array_index(indexes, i), *next = g_ptr_array_index(indexes, i + 1);

        if (index != NULL && next != NULL && publish_is_same_content(index, next))
            g_array_append_val(chosen, g_array_index(generations, StoreGeneration, i).version);
    }
    return chosen;
}

static char *
identity(const IndexEntry *entry)
{
    return g_strdup_printf("%s %s", entry->name, entry->arch);
}

/* highest_revisions: identity -> the entry with the highest revision; entries borrowed from @known. */
static GHashTable *
highest_revisions(const GPtrArray *known)
{
    GHashTable *highest = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < known->len; i++) {
        const Index *index = g_ptr_array_index(known, i);

        for (guint j = 0; j < index->entries->len; j++) {
            IndexEntry *entry = g_ptr_array_index(index->entries, j);
            g_autofree char *key = identity(entry);
            const IndexEntry *best = g_hash_table_lookup(highest, key);

            if (best == NULL || entry->revision > best->revision)
                g_hash_table_replace(highest, g_steal_pointer(&key), entry);
        }
    }
    return highest;
}

/* next_revision: the highest known one if its content is @old's, else one above. */
static uint64_t
next_revision(const IndexEntry *old, GHashTable *highest)
{
    g_autofree char *key = identity(old);
    const IndexEntry *best = g_hash_table_lookup(highest, key);

    if (best == NULL)
        return old->revision;
    return g_strcmp0(best->sha512, old->sha512) == 0 ? best->revision : best->revision + 1;
}

void
publish_roll_back(Index *index, const Index *old, const GPtrArray *known)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new();
    g_autoptr(GHashTable) highest = highest_revisions(known);

    /* Copied before the old entries go: @old and @known may be borrowed from @index itself. */
    for (guint i = 0; i < old->entries->len; i++) {
        IndexEntry *entry = index_entry_copy(g_ptr_array_index(old->entries, i));

        entry->revision = next_revision(entry, highest);
        g_ptr_array_add(entries, entry);
    }
    g_ptr_array_set_size(index->entries, 0);
    for (guint i = 0; i < entries->len; i++)
        g_ptr_array_add(index->entries, g_ptr_array_index(entries, i));
}

bool
publish_is_half_over(const Index *index, int64_t now)
{
    return now > index->created + (index->expires - index->created) / 2;
}
