// SPDX-License-Identifier: Apache-2.0
/* The steps of `repo add`, from files to a signed index. */
#include "publish/add.h"

#include "base/digest.h"
#include "base/interrupt.h"
#include "publish/retired.h"
#include "publish/sbom.h"

#include <string.h>
#include <unistd.h>

#define REFERENCE_PREFIX "blobs/sha512/"

/* ---- items ---- */

PublishItem *
publish_item_new(const char *name, const char *path)
{
    PublishItem *item = g_new0(PublishItem, 1);

    item->name = g_strdup(name);
    item->path = g_strdup(path);
    item->image = PUBLISH_IMAGE_NONE;
    item->xz = PUBLISH_PACKING_NONE;
    item->zstd = PUBLISH_PACKING_NONE;
    item->deltas = g_ptr_array_new_with_free_func((GDestroyNotify)publish_delta_free);
    item->delta_notes = g_ptr_array_new_with_free_func(g_free);
    return item;
}

/* What only the next step needs goes early. */
static void
close_image(PublishItem *item)
{
    publish_image_clear(&item->image);
    publish_packing_drop_previous(&item->xz);
    publish_packing_drop_previous(&item->zstd);
}

void
publish_item_free(PublishItem *item)
{
    close_image(item);
    g_free(item->name);
    g_free(item->path);
    guest_info_free(item->guest);
    publish_packing_clear(&item->xz);
    publish_packing_clear(&item->zstd);
    g_clear_pointer(&item->bases, g_ptr_array_unref);
    g_ptr_array_unref(item->deltas);
    g_ptr_array_unref(item->delta_notes);
    g_clear_pointer(&item->grains, g_bytes_unref);
    g_clear_error(&item->error);
    g_free(item);
}

void
publish_item_parse(const char *argument, char **out_name, char **out_path, bool *out_is_named)
{
    static const char *const ENDS[] = {".raw", ".img", ".qcow2", ".vmdk", ".vhdx", ".vhd", ".vdi"};
    const char *equals = strchr(argument, '=');
    g_autofree char *name = equals != NULL ? g_strndup(argument, (gsize)(equals - argument)) : NULL;

    *out_is_named = name != NULL && index_is_name(name);
    if (*out_is_named) {
        *out_name = g_steal_pointer(&name);
        *out_path = g_strdup(equals + 1);
        return;
    }
    *out_path = g_strdup(argument);
    *out_name = g_path_get_basename(argument);
    for (size_t i = 0; i < G_N_ELEMENTS(ENDS); i++) {
        if (g_str_has_suffix(*out_name, ENDS[i])) {
            (*out_name)[strlen(*out_name) - strlen(ENDS[i])] = '\0';
            return;
        }
    }
}

static PublishItem *
item_at(const PublishAdd *add, guint i)
{
    return g_ptr_array_index(add->items, i);
}

/* ---- opening and looking inside ---- */

bool
publish_add_open(PublishAdd *add, GError **error)
{
    for (guint i = 0; i < add->items->len; i++) {
        PublishItem *item = item_at(add, i);

        publish_image_open(&item->image, item->path, &add->input, add->repo->store, &item->error);
        if (!interrupt_check(error))
            return false;
    }
    return true;
}

bool
publish_add_inspect(PublishAdd *add, char **out_reason, GError **error)
{
    g_autofree GuestSubject *subjects = g_new0(GuestSubject, add->items->len);
    g_autofree PublishItem **items = g_new0(PublishItem *, add->items->len);
    unsigned n = 0;
    bool is_done;

    for (guint i = 0; i < add->items->len; i++) {
        PublishItem *item = item_at(add, i);

        if (item->error != NULL)
            continue;
        subjects[n].path = item->image.disk;
        subjects[n].format = item->image.info.format;
        items[n++] = item;
    }
    is_done = guest_inspect(subjects, n, add->accel, add->want_sbom, out_reason, error);
    for (unsigned i = 0; i < n; i++) {
        items[i]->guest = g_steal_pointer(&subjects[i].info);
        if (items[i]->guest == NULL && subjects[i].error != NULL) {
            items[i]->error = g_steal_pointer(&subjects[i].error);
            g_prefix_error(
                &items[i]->error,
                "%s: cannot be inspected (--no-inspect publishes it all the same): ", items[i]->image.path);
        }
        guest_subject_clear(&subjects[i]);
    }
    return is_done;
}

/* ---- entries ---- */

static PublishFile
published_file(const PublishItem *item)
{
    return (PublishFile){
        .file = REFERENCE_PREFIX,
        .sha512 = item->xz.result.sha512,
        .format = item->image.info.format,
        .virtual_size = item->image.info.virtual_size,
        .compressed_size = item->xz.result.compressed_size,
    };
}

/* Two images of one run must not take each other's place. */
static bool
check_distinct(const PublishAdd *add, guint until, const IndexEntry *entry, GError **error)
{
    for (guint i = 0; i < until; i++) {
        const IndexEntry *other = item_at(add, i)->entry;

        if (other != NULL && g_str_equal(other->name, entry->name) && g_str_equal(other->arch, entry->arch))
            return error_set_code(error, BASE_ERROR_USAGE, "two of the images would be '%s' (%s)",
                                  entry->name, entry->arch);
    }
    return true;
}

/* new_entry: (transfer full) of @item, whose revision goes on from that of a removed image, too. */
static IndexEntry *
new_entry(PublishAdd *add, PublishItem *item, const Index *index, const PublishFile *file, GError **error)
{
    const char *arch = publish_entry_arch(&item->wish, item->guest, error);

    if (arch == NULL ||
        !publish_retired_lookup(add->repo->store, item->name, arch, &item->wish.retired_revision, error))
        return NULL;
    return publish_entry_new(index, &item->wish, item->guest, file, error);
}

static bool
has_twin(const IndexEntry *entry)
{
    return entry != NULL && index_entry_extension(entry, INDEX_ZSTD) != NULL;
}

static bool
find_previous(const PublishAdd *add, PublishItem *item, const IndexEntry *old, GError **error)
{
    Store *store = add->repo->store;
    const char *manifest = index_entry_extension(old, INDEX_MANIFEST);
    const char *twin = index_entry_extension(old, INDEX_ZSTD);
    const char *twin_manifest = index_entry_extension(old, INDEX_ZSTD_MANIFEST);

    return publish_packing_find(&item->xz, store, old->file, manifest, error) &&
           (!item->has_twin || publish_packing_find(&item->zstd, store, twin, twin_manifest, error));
}

bool
publish_add_check(PublishAdd *add, Index **out_index, GPtrArray **out_notes, GError **error)
{
    g_autoptr(Index) index = publish_repo_read(add->repo, error);
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);

    if (index == NULL)
        return false;
    for (guint i = 0; i < add->items->len; i++) {
        PublishItem *item = item_at(add, i);
        PublishFile file = published_file(item);
        g_autoptr(GError) local = NULL;
        const IndexEntry *old;
        IndexEntry *entry;

        if (item->error != NULL)
            continue;
        entry = new_entry(add, item, index, &file, &item->error);
        if (entry == NULL)
            continue;
        if (!check_distinct(add, i, entry, &item->error)) {
            index_entry_free(entry);
            continue;
        }
        old = publish_entry_lookup(index, entry->name, entry->arch);
        item->bases = publish_delta_bases(old, add->max_deltas);
        item->has_twin = add->wants_twin || (!add->drops_twin && has_twin(old));
        if (old != NULL && !find_previous(add, item, old, &local))
            g_ptr_array_add(notes, g_strdup_printf("%s: the revision before cannot be reused: %s", item->name,
                                                   local->message));
        item->entry = entry;
        publish_entry_put(index, entry);
    }
    if (!publish_entry_check_room(index, error))
        return false;
    *out_index = g_steal_pointer(&index);
    *out_notes = g_steal_pointer(&notes);
    return true;
}

/* ---- blobs ---- */

/* Nothing is new in an image that is published again as it was. */
static bool
make_deltas(const PublishAdd *add, PublishItem *item, GError **error)
{
    const PublishBase *last = item->bases->len > 0 ? g_ptr_array_index(item->bases, 0) : NULL;
    const PublishDeltaJob job = {
        .store = add->repo->store,
        .name = item->name,
        .fd = item->image.fd,
        .path = item->image.path,
        .sha512 = item->xz.result.sha512,
        .compressed_size = item->xz.result.compressed_size,
        .bases = item->bases,
        .threads = add->threads,
    };

    if (add->max_deltas == 0 || (last != NULL && g_str_equal(last->sha512, item->xz.result.sha512)))
        return true;
    return publish_delta_make(&job, item->deltas, item->delta_notes, &item->grains, error) &&
           publish_image_check_unchanged(&item->image, error);
}

static bool
compress(const PublishAdd *add, PublishItem *item, GError **error)
{
    Store *store = add->repo->store;

    return publish_packing_run(&item->xz, store, &item->image, item->name, DISK_XZ, add->threads, error) &&
           make_deltas(add, item, error) &&
           (!item->has_twin || publish_packing_run(&item->zstd, store, &item->image, item->name, DISK_ZSTD,
                                                   add->threads, error));
}

bool
publish_add_compress(PublishAdd *add, GError **error)
{
    for (guint i = 0; i < add->items->len; i++) {
        PublishItem *item = item_at(add, i);

        if (item->error != NULL)
            continue;
        if (!compress(add, item, &item->error)) {
            store_upload_clear(&item->xz.upload);
            store_upload_clear(&item->zstd.upload);
        }
        close_image(item);
        if (!interrupt_check(error))
            return false;
    }
    return true;
}

/* The same image has its list already, and a new date on it would be a new blob. */
static bool
store_sbom(const PublishAdd *add, const PublishItem *item, const IndexEntry *old, const char *arch,
           PublishBlob *out_blob, GError **error)
{
    const PublishSbom sbom = {.name = item->name,
                              .arch = arch,
                              .sha512 = item->xz.result.sha512,
                              .created = g_get_real_time() / G_USEC_PER_SEC,
                              .guest = item->guest};
    g_autofree char *text = NULL;

    if (!add->want_sbom || item->guest == NULL || item->guest->packages == NULL)
        return true;
    if (old != NULL && g_strcmp0(old->sha512, item->xz.result.sha512) == 0 &&
        index_entry_extension(old, PUBLISH_PACKAGES) != NULL)
        return true;
    text = publish_sbom_print(&sbom);
    out_blob->size = strlen(text);
    out_blob->path = publish_store_bytes(add->repo->store, text, out_blob->size, error);
    return out_blob->path != NULL;
}

static bool
store_deltas(const PublishAdd *add, PublishItem *item, IndexDelta *out_fields, GError **error)
{
    for (guint i = 0; i < item->deltas->len; i++) {
        PublishDelta *delta = g_ptr_array_index(item->deltas, i);

        if (!publish_delta_store(add->repo->store, delta, error))
            return false;
        out_fields[i] = (IndexDelta){
            .revision = delta->revision,
            .base_sha512 = delta->base_sha512,
            .file = delta->path,
            .size = delta->size,
        };
    }
    return item->grains == NULL ||
           publish_delta_keep(add->repo->store, item->xz.result.sha512, item->grains, error);
}

static bool
finish_item(PublishAdd *add, PublishItem *item, Index *index, GError **error)
{
    const char *arch = publish_entry_arch(&item->wish, item->guest, error);
    const IndexEntry *old = arch != NULL ? publish_entry_lookup(index, item->name, arch) : NULL;
    g_auto(PublishBlob) packed = {0}, manifest = {0}, packages = {0}, twin = {0}, twin_manifest = {0};
    IndexDelta deltas[PUBLISH_MAX_DELTAS];
    g_autoptr(GArray) steps = NULL;
    PublishFile file = published_file(item);
    IndexEntry *entry;

    if (arch == NULL || !publish_packing_store(&item->xz, add->repo->store, &packed, &manifest, error) ||
        (item->has_twin &&
         !publish_packing_store(&item->zstd, add->repo->store, &twin, &twin_manifest, error)) ||
        !store_sbom(add, item, old, arch, &packages, error) || !store_deltas(add, item, deltas, error))
        return false;
    file.file = packed.path;
    file.manifest = &manifest;
    file.twin = item->has_twin ? &twin : NULL;
    file.twin_manifest = item->has_twin ? &twin_manifest : NULL;
    file.packages = packages.path != NULL ? &packages : NULL;
    file.deltas = deltas;
    file.n_deltas = item->deltas->len;
    steps = publish_delta_steps(old, deltas, file.n_deltas);
    file.steps = steps;
    entry = new_entry(add, item, index, &file, error);
    if (entry == NULL)
        return false;
    publish_entry_put(index, entry);
    item->entry = entry;
    return true;
}

bool
publish_add_finish(PublishAdd *add, Index **out_index, GError **error)
{
    g_autoptr(Index) index = publish_repo_read(add->repo, error);

    if (index == NULL)
        return false;
    for (guint i = 0; i < add->items->len; i++) {
        PublishItem *item = item_at(add, i);

        item->entry = NULL;
        if (item->error != NULL || finish_item(add, item, index, &item->error))
            continue;
        if (!add->keep_going || !interrupt_check(NULL)) {
            g_propagate_error(error, g_steal_pointer(&item->error));
            return false;
        }
    }
    if (!publish_entry_check_room(index, error) ||
        !publish_repo_write(add->repo, index, add->valid_days, error) ||
        !publish_delta_forget(add->repo->store, index, error))
        return false;
    *out_index = g_steal_pointer(&index);
    return true;
}
