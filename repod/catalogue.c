// SPDX-License-Identifier: Apache-2.0
/* The model behind page and API, and how versions become a history. Pure. */
#include "repod/catalogue.h"

#include <string.h>

static void
revision_free(void *data)
{
    CatalogueRevision *revision = data;

    g_free(revision->sha512);
    g_free(revision->file);
    g_free(revision);
}

static void
revisions_free(void *data)
{
    g_ptr_array_unref(data);
}

Catalogue *
catalogue_new(const char *site)
{
    Catalogue *catalogue = g_new0(Catalogue, 1);

    catalogue->site = g_strdup(site);
    catalogue->history = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, revisions_free);
    catalogue->versions = g_ptr_array_new_with_free_func(g_free);
    return catalogue;
}

void
catalogue_free(Catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    g_free(catalogue->site);
    g_free(catalogue->problem);
    g_free(catalogue->detail);
    index_free(catalogue->index);
    g_free(catalogue->fingerprint);
    g_strfreev(catalogue->roots);
    g_hash_table_unref(catalogue->history);
    g_ptr_array_unref(catalogue->versions);
    g_free(catalogue);
}

/* Neither a name nor, in a valid index, an architecture holds a blank; a wrong one makes a wrong history, no more. */
static char *
key_of(const IndexEntry *entry)
{
    return g_strdup_printf("%s %s", entry->name, entry->arch);
}

static void
add_revision(Catalogue *catalogue, const Index *index, const IndexEntry *entry)
{
    g_autofree char *key = key_of(entry);
    GPtrArray *revisions = g_hash_table_lookup(catalogue->history, key);
    CatalogueRevision *revision;

    if (revisions == NULL) {
        revisions = g_ptr_array_new_with_free_func(revision_free);
        g_hash_table_insert(catalogue->history, g_steal_pointer(&key), revisions);
    } else {
        const CatalogueRevision *last = g_ptr_array_index(revisions, revisions->len - 1);

        if (last->revision == entry->revision && g_strcmp0(last->sha512, entry->sha512) == 0)
            return;
    }
    revision = g_new0(CatalogueRevision, 1);
    revision->version = index->version;
    revision->created = index->created;
    revision->revision = entry->revision;
    revision->sha512 = g_strdup(entry->sha512);
    revision->file = g_strdup(entry->file);
    revision->size = entry->size;
    revision->compressed_size = entry->compressed_size;
    g_ptr_array_add(revisions, revision);
}

void
catalogue_add_version(Catalogue *catalogue, const Index *index)
{
    CatalogueVersion *version = g_new0(CatalogueVersion, 1);

    version->version = index->version;
    version->created = index->created;
    version->n_images = index->entries->len;
    g_ptr_array_add(catalogue->versions, version);
    for (guint i = 0; i < index->entries->len; i++)
        add_revision(catalogue, index, g_ptr_array_index(index->entries, i));
}

const GPtrArray *
catalogue_history(const Catalogue *catalogue, const IndexEntry *entry)
{
    g_autofree char *key = key_of(entry);

    return g_hash_table_lookup(catalogue->history, key);
}

char *
catalogue_os(const IndexEntry *entry)
{
    const char *os = index_entry_extension(entry, "x_os");
    size_t length;

    if (os != NULL && *os != '\0')
        return g_strdup(os);
    if (entry->osinfo == NULL)
        return g_strdup("");
    /* "debian12", "ubuntu22.04", "win2k22": up to the version */
    length = strcspn(entry->osinfo, "0123456789");
    return length > 0 ? g_strndup(entry->osinfo, length) : g_strdup(entry->osinfo);
}
