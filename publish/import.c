// SPDX-License-Identifier: Apache-2.0
/* Entries that others published, taken over into a repository of ours and signed with its key. */
#include "publish/entry.h"
#include "publish/history.h"
#include "publish/packing.h"
#include "publish/repo.h"
#include "publish/retired.h"

#include <string.h>

struct PublishImport {
    PublishRepo *repo;
    Index *index;
};

void
publish_import_free(PublishImport *import)
{
    if (import == NULL)
        return;
    publish_repo_free(import->repo);
    index_free(import->index);
    g_free(import);
}

PublishImport *
publish_import_open(const char *dir, bool is_dry, GError **error)
{
    g_autoptr(PublishImport) import = g_new0(PublishImport, 1);

    import->repo = publish_repo_open(dir, error);
    if (import->repo == NULL || (!is_dry && !store_lock(import->repo->store, false, error)))
        return NULL;
    import->index = publish_repo_read(import->repo, error);
    return import->index != NULL ? g_steal_pointer(&import) : NULL;
}

Store *
publish_import_store(const PublishImport *import)
{
    return import->repo->store;
}

const Index *
publish_import_index(const PublishImport *import)
{
    return import->index;
}

static bool
has_own(const Index *index)
{
    for (guint i = 0; i < index->entries->len; i++)
        if (index_entry_extension(g_ptr_array_index(index->entries, i), PUBLISH_ORIGIN) == NULL)
            return true;
    return false;
}

bool
publish_import_has_own(PublishImport *import)
{
    g_autoptr(GArray) generations = NULL;

    if (has_own(import->index))
        return true;
    generations = store_list_generations(import->repo->store, NULL);
    for (guint i = 0; generations != NULL && i < generations->len; i++) {
        const uint64_t version = g_array_index(generations, StoreGeneration, i).version;
        g_autoptr(Index) index = publish_repo_read_version(import->repo, version, NULL);

        if (index == NULL || has_own(index))
            return true;
    }
    return generations == NULL;
}

static void
describe(IndexEntry *entry, const PublishImage *image, const PublishPacking *packing, PublishBlob *file,
         const PublishBlob *manifest)
{
    g_free(entry->file);
    entry->file = g_steal_pointer(&file->path);
    g_free(entry->sha512);
    entry->sha512 = g_strdup(packing->result.sha512);
    g_clear_pointer(&entry->sha256, g_free);
    g_free(entry->format);
    entry->format = g_strdup(disk_format_name(image->info.format));
    entry->size = image->info.virtual_size;
    entry->compressed_size = file->size;
    index_entry_set_extension(entry, INDEX_MANIFEST, manifest->path);
}

bool
publish_import_pack(PublishImport *import, const PublishWork *work, IndexEntry *entry, GError **error)
{
    Store *store = import->repo->store;
    g_auto(PublishImage) image = PUBLISH_IMAGE_NONE;
    g_auto(PublishBlob) file = {0}, manifest = {0};
    PublishPacking packing = PUBLISH_PACKING_NONE;
    PublishInput input = {0};
    bool is_ok = (entry->format == NULL || publish_input_parse(entry->format, &input, error)) &&
                 publish_image_open(&image, work->path, &input, store, error) &&
                 publish_packing_run(&packing, store, &image, entry->name, DISK_XZ, work->threads, error) &&
                 publish_packing_store(&packing, store, &file, &manifest, error);

    if (is_ok)
        describe(entry, &image, &packing, &file, &manifest);
    publish_packing_clear(&packing);
    return is_ok;
}

static bool
is_from(const IndexEntry *entry, const char *origin)
{
    return g_strcmp0(index_entry_extension(entry, PUBLISH_ORIGIN), origin) == 0;
}

static bool
is_among(const GPtrArray *entries, const IndexEntry *entry)
{
    for (guint i = 0; i < entries->len; i++) {
        const IndexEntry *other = g_ptr_array_index(entries, i);

        if (strcmp(other->name, entry->name) == 0 && strcmp(other->arch, entry->arch) == 0)
            return true;
    }
    return false;
}

/* drop_gone: what came from @origin and comes no more; its revisions are remembered. */
static bool
drop_gone(PublishImport *import, Index *index, const char *origin, const GPtrArray *entries, GError **error)
{
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func((GDestroyNotify)index_entry_free);

    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (!is_from(entry, origin) || is_among(entries, entry))
            continue;
        g_ptr_array_add(gone, index_entry_copy(entry));
        g_ptr_array_remove_index(index->entries, i--);
    }
    return gone->len == 0 || publish_retired_add(import->repo->store, gone, error);
}

/* next_revision: what @entry says, unless clients know that or a higher one with other content. */
static bool
next_revision(PublishImport *import, const IndexEntry *old, IndexEntry *entry, GError **error)
{
    uint64_t retired;

    if (old != NULL) {
        const bool is_same = g_strcmp0(old->sha512, entry->sha512) == 0;

        entry->revision = MAX(entry->revision, is_same ? old->revision : old->revision + 1);
        return true;
    }
    if (!publish_retired_lookup(import->repo->store, entry->name, entry->arch, &retired, error))
        return false;
    entry->revision = MAX(entry->revision, retired + 1);
    return true;
}

static bool
put(PublishImport *import, Index *index, const char *origin, const IndexEntry *given, GError **error)
{
    const IndexEntry *old = publish_entry_lookup(index, given->name, given->arch);
    g_autoptr(IndexEntry) entry = index_entry_copy(given);

    if (old != NULL && !is_from(old, origin))
        return error_set_code(
            error, BASE_ERROR_EXISTS,
            "%s: has an image '%s' (%s) that does not come from '%s'; nothing was published",
            store_location(import->repo->store), given->name, given->arch, origin);
    if (!next_revision(import, old, entry, error) || !index_entry_validate(entry, error))
        return false;
    publish_entry_put(index, g_steal_pointer(&entry));
    return true;
}

bool
publish_import_finish(PublishImport *import, const char *origin, const GPtrArray *entries, bool *out_changed,
                      GError **error)
{
    g_autoptr(Index) index = publish_repo_read(import->repo, error);

    *out_changed = false;
    if (index == NULL || !drop_gone(import, index, origin, entries, error))
        return false;
    for (guint i = 0; i < entries->len; i++)
        if (!put(import, index, origin, g_ptr_array_index(entries, i), error))
            return false;
    if (!publish_entry_check_room(index, error))
        return false;
    if (publish_is_same_content(index, import->index) &&
        !publish_is_half_over(import->index, g_get_real_time() / G_USEC_PER_SEC))
        return true;
    if (!publish_repo_write(import->repo, index, publish_repo_valid_days(import->index), error))
        return false;
    *out_changed = true;
    return true;
}
