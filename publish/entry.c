// SPDX-License-Identifier: Apache-2.0
/* Deciding what an index says about a published image. */
#include "publish/entry.h"

#include <string.h>

static bool
is_same_image(const IndexEntry *entry, const char *name, const char *arch)
{
    return g_str_equal(entry->name, name) && g_strcmp0(index_normal_arch(entry->arch), arch) == 0;
}

static IndexEntry *
lookup(const Index *index, const char *name, const char *arch)
{
    for (guint i = 0; i < index->entries->len; i++) {
        IndexEntry *entry = g_ptr_array_index(index->entries, i);

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
    uint64_t least = old == NULL ? 1 : is_same ? old->revision : old->revision + 1;

    if (wish->revision != 0 && wish->revision < least)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "revision %" G_GUINT64_FORMAT " of '%s' is not above %" G_GUINT64_FORMAT
                              ", which is published: clients would keep the old image",
                              wish->revision, wish->name, old->revision);
    *out_revision = wish->revision != 0 ? wish->revision : least;
    return true;
}

static void
describe_file(IndexEntry *entry, const PublishFile *file)
{
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
    const IndexEntry *old = arch != NULL ? lookup(index, wish->name, arch) : NULL;
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
    set_note(entry, wish->notes);
    entry->is_hidden = wish->is_hidden;
    describe_file(entry, file);
    if (!index_entry_validate(entry, error))
        return NULL;
    return g_steal_pointer(&entry);
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
