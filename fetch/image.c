// SPDX-License-Identifier: Apache-2.0
/* The folder's public functions: from a name to an image in the cache. */
#include "fetch/fetch.h"

#include "fetch/catalogue.h"
#include "fetch/pull.h"
#include "fetch/record.h"
#include "fetch/seal.h"
#include "fetch/uses.h"

void
fetch_image_free(FetchImage *image)
{
    if (image == NULL)
        return;
    g_free(image->path);
    g_free(image->id);
    g_free(image->source);
    index_entry_free(image->entry);
    g_free(image->cost.why);
    g_free(image);
}

/* An image that was verified before stays usable where nothing new may or can be pulled. */
static FetchImage *
use_record(const char *source, const char *name, const char *arch, GPtrArray *warnings, GError **error)
{
    g_autofree char *found_source = NULL;
    g_autoptr(IndexEntry) entry = NULL;
    FetchImage *image;

    /* Absent: the source is there and no longer offers it. */
    if (g_error_matches(*error, BASE_ERROR, BASE_ERROR_INTERRUPTED) ||
        g_error_matches(*error, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return NULL;
    entry = record_find(source, name, arch, &found_source);
    if (entry == NULL)
        return NULL;
    g_ptr_array_add(warnings, g_strdup_printf("%s: using the image that was verified before: %s", name,
                                              (*error)->message));
    g_clear_error(error);
    image = pull_cached(found_source, entry);
    if (image != NULL)
        seal_touch(image->id);
    return image;
}

static FetchImage *
find_and_pull(const char *ref, const char *source, const char *arch, CatalogueMode mode, GPtrArray *warnings,
              GError **error)
{
    g_autoptr(GPtrArray) catalogues = catalogue_open_all(source, mode, warnings, error);
    const Catalogue *catalogue;
    const IndexEntry *entry;

    if (catalogues == NULL)
        return NULL;
    entry = catalogue_find(catalogues, ref, arch, &catalogue, error);
    return entry == NULL ? NULL : pull_entry(catalogue, entry, &(PullWish){0}, warnings, error);
}

FetchImage *
fetch_image(const char *ref, const char *arch, bool is_offline, GPtrArray **out_warnings, GError **error)
{
    g_autofree char *source = NULL, *name = NULL;
    g_autofree char *wanted = arch == NULL ? catalogue_host_arch() : g_strdup(index_normal_arch(arch));
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) problem = NULL;
    FetchImage *image;

    if (!catalogue_split_ref(ref, &source, &name, error))
        return NULL;
    image = find_and_pull(ref, source, wanted, is_offline ? CATALOGUE_OFFLINE : CATALOGUE_ASK, warnings,
                          &problem);
    if (image == NULL)
        image = use_record(source, name, wanted, warnings, &problem);
    if (out_warnings != NULL)
        *out_warnings = g_steal_pointer(&warnings);
    if (image == NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    return image;
}

bool
fetch_note_use(const FetchImage *image, const char *path, GError **error)
{
    return uses_note(image->id, path, error);
}
