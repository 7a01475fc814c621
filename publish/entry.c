// SPDX-License-Identifier: Apache-2.0
/* Deciding what an index says about a published image. */
#include "publish/entry.h"

#include <string.h>

#define REFERENCE_PREFIX "blobs/sha512/"
#define SIZE_SUFFIX "_size"
#define BASE_SUFFIX "_base"
#define TO_SUFFIX "_to"

static bool
is_same_image(const IndexEntry *entry, const char *name, const char *arch)
{
    return g_str_equal(entry->name, name) && g_strcmp0(index_normal_arch(entry->arch), arch) == 0;
}

void
publish_blob_clear(PublishBlob *blob)
{
    g_clear_pointer(&blob->path, g_free);
}

const IndexEntry *
publish_entry_lookup(const Index *index, const char *name, const char *arch)
{
    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (is_same_image(entry, name, arch))
            return entry;
    }
    return NULL;
}

const char *
publish_entry_arch(const PublishWish *wish, const GuestInfo *guest, GError **error)
{
    if (wish->arch != NULL)
        return index_normal_arch(wish->arch);
    if (guest != NULL && guest->arch != NULL)
        return index_normal_arch(guest->arch);
    error_set_code(error, BASE_ERROR_USAGE, "the architecture is not known: give --arch");
    return NULL;
}

static void
set_text(char **field, const char *wished, const char *found)
{
    const char *text = wished != NULL ? wished : found;

    if (text == NULL)
        return;
    g_free(*field);
    *field = g_strdup(text);
}

/* set_note: the note without a language; those in languages would no longer match it, and go. */
static void
set_note(IndexEntry *entry, const char *text)
{
    IndexNote *note;

    if (text == NULL)
        return;
    g_ptr_array_set_size(entry->notes, 0);
    note = g_new0(IndexNote, 1);
    note->language = g_strdup("");
    note->text = g_strdup(text);
    g_ptr_array_add(entry->notes, note);
}

/* check_alias: stock clients look at aliases first, so the name would never be found. */
static bool
check_alias(const Index *index, const char *name, GError **error)
{
    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (entry->aliases != NULL && g_strv_contains((const char *const *)entry->aliases, name))
            return error_set_code(error, BASE_ERROR_USAGE, "'%s' is an alias of the image '%s'", name,
                                  entry->name);
    }
    return true;
}

static bool
choose_revision(const IndexEntry *old, const PublishWish *wish, const char *sha512, uint64_t *out_revision,
                GError **error)
{
    bool is_same = old != NULL && sha512 != NULL && g_strcmp0(old->sha512, sha512) == 0;
    uint64_t before = MAX(old != NULL ? old->revision : 0, wish->retired_revision);
    uint64_t least = is_same ? old->revision : before + 1;

    if (wish->revision != 0 && wish->revision < least)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "revision %" G_GUINT64_FORMAT " of '%s' is not above %" G_GUINT64_FORMAT
                              ", which was published: clients would keep the old image",
                              wish->revision, wish->name, before);
    *out_revision = wish->revision != 0 ? wish->revision : least;
    return true;
}

static void
drop_reference(IndexEntry *entry, const char *key)
{
    g_autofree char *size_key = g_strconcat(key, SIZE_SUFFIX, NULL);

    index_entry_set_extension(entry, key, NULL);
    index_entry_set_extension(entry, size_key, NULL);
}

/* drop_references: blobs that describe other content than the one that is published now, and their sizes. */
static void
drop_references(IndexEntry *entry)
{
    for (guint i = entry->extensions->len; i-- > 0;) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);
        g_autofree char *key = NULL, *base_key = NULL, *to_key = NULL;

        if (field->subkey != NULL || !g_str_has_prefix(field->value, REFERENCE_PREFIX))
            continue;
        key = g_strdup(field->key);
        base_key = g_strconcat(key, BASE_SUFFIX, NULL);
        drop_reference(entry, key);
        to_key = g_strconcat(key, TO_SUFFIX, NULL);
        index_entry_set_extension(entry, base_key, NULL);
        index_entry_set_extension(entry, to_key, NULL);
        i = entry->extensions->len; /* fields are gone: start again */
    }
}

static void
set_reference(IndexEntry *entry, const char *key, const PublishBlob *blob)
{
    g_autofree char *size_key = g_strconcat(key, SIZE_SUFFIX, NULL);
    g_autofree char *size = NULL;

    if (blob == NULL)
        return;
    size = g_strdup_printf("%" G_GUINT64_FORMAT, blob->size);
    index_entry_set_extension(entry, key, blob->path);
    index_entry_set_extension(entry, size_key, size);
}

static void
set_extension(IndexEntry *entry, const char *key, const char *wished, const char *found)
{
    const char *text = wished != NULL ? wished : found;

    if (text != NULL)
        index_entry_set_extension(entry, key, text);
}

/* describe_guest: what libguestfs found and virt-builder has no field for. */
static void
describe_guest(IndexEntry *entry, const PublishWish *wish, const GuestInfo *guest)
{
    static const GuestInfo NOTHING;
    const GuestInfo *found = guest != NULL ? guest : &NOTHING;

    set_extension(entry, "x_os", wish->os, found->distro);
    set_extension(entry, "x_os_version", wish->os_version, found->version);
    set_extension(entry, "x_root", wish->root, found->root);
    set_extension(entry, "x_root_fs", wish->root_fs, found->root_fs);
    set_extension(entry, "x_firmware", wish->firmware, found->firmware);
}

static void
describe_file(IndexEntry *entry, const PublishFile *file)
{
    if (file->sha512 == NULL || g_strcmp0(entry->sha512, file->sha512) != 0)
        drop_references(entry);
    set_reference(entry, INDEX_MANIFEST, file->manifest);
    set_reference(entry, INDEX_ZSTD, file->twin);
    set_reference(entry, INDEX_ZSTD_MANIFEST, file->twin_manifest);
    set_reference(entry, PUBLISH_PACKAGES, file->packages);
    for (unsigned i = 0; i < file->n_deltas; i++)
        index_delta_set(entry, &file->deltas[i]);
    for (guint i = 0; file->steps != NULL && i < file->steps->len; i++)
        index_step_set(entry, &g_array_index(file->steps, IndexDelta, i));
    set_text(&entry->file, file->file, NULL);
    set_text(&entry->sha512, file->sha512, NULL);
    g_clear_pointer(&entry->sha256, g_free);
    g_clear_pointer(&entry->sig, g_free);
    set_text(&entry->format, disk_format_name(file->format), NULL);
    entry->size = file->virtual_size;
    entry->compressed_size = file->compressed_size;
}

IndexEntry *
publish_entry_new(const Index *index, const PublishWish *wish, const GuestInfo *guest,
                  const PublishFile *file, GError **error)
{
    const char *arch = publish_entry_arch(wish, guest, error);
    const IndexEntry *old = arch != NULL ? publish_entry_lookup(index, wish->name, arch) : NULL;
    g_autoptr(IndexEntry) entry = old != NULL ? index_entry_copy(old) : index_entry_new();

    if (arch == NULL || !check_alias(index, wish->name, error) ||
        !choose_revision(old, wish, file->sha512, &entry->revision, error))
        return NULL;
    set_text(&entry->name, wish->name, NULL);
    set_text(&entry->arch, arch, NULL);
    set_text(&entry->title, wish->title, guest != NULL ? guest->product : NULL);
    set_text(&entry->osinfo, wish->osinfo, guest != NULL ? guest->osinfo : NULL);
    if (guest != NULL) { /* a new layout of the disk replaces the old one as a whole */
        g_clear_pointer(&entry->expand, g_free);
        g_clear_pointer(&entry->lvexpand, g_free);
    }
    set_text(&entry->expand, wish->expand, guest != NULL ? guest->expand : NULL);
    set_text(&entry->lvexpand, wish->lvexpand, guest != NULL ? guest->lvexpand : NULL);
    describe_guest(entry, wish, guest);
    set_note(entry, wish->notes);
    entry->is_hidden = wish->is_hidden;
    describe_file(entry, file);
    if (wish->drop_packages)
        drop_reference(entry, PUBLISH_PACKAGES);
    if (wish->drop_twin) {
        drop_reference(entry, INDEX_ZSTD);
        drop_reference(entry, INDEX_ZSTD_MANIFEST);
    }
    if (!index_entry_validate(entry, error))
        return NULL;
    return g_steal_pointer(&entry);
}

bool
publish_entry_check_room(const Index *index, GError **error)
{
    if (index->entries->len <= INDEX_MAX_PRINT_ENTRIES)
        return true;
    return error_set(
        error,
        "the repository would list %u images, and stock virt-builder cannot read more than %u: remove some "
        "first, or start another repository",
        index->entries->len, INDEX_MAX_PRINT_ENTRIES);
}

void
publish_entry_put(Index *index, IndexEntry *entry)
{
    for (guint i = 0; i < index->entries->len; i++) {
        IndexEntry *old = g_ptr_array_index(index->entries, i);

        if (is_same_image(old, entry->name, entry->arch)) {
            index_entry_free(old);
            g_ptr_array_index(index->entries, i) = entry;
            return;
        }
    }
    g_ptr_array_add(index->entries, entry);
}
