// SPDX-License-Identifier: Apache-2.0
/*
 * A copy of chosen images, signed with the key of a repository of ours. Entries are taken over with all that they say; files,
 * manifests and deltas as they are. What the copy has of a source is marked in its own index, which is all that has to be
 * remembered.
 */
#include "base/interrupt.h"
#include "base/pool.h"
#include "mirror/run.h"
#include "publish/publish.h"

#include <string.h>

/** Own: one run. */
typedef struct {
    const MirrorOptions *options;
    MirrorReport *report;
    PublishImport *import;
    FetchUpstream *upstream;
    MirrorNotes notes;
    GPtrArray *chosen;  /* (element-type IndexEntry) borrowed from @upstream */
    GPtrArray *files;   /* (element-type MirrorFile) */
    GHashTable *by_key; /* key -> MirrorFile */
    GPtrArray *entries; /* (element-type IndexEntry) what will be published of them */
} Own;

static void
own_clear(Own *own)
{
    publish_import_free(own->import);
    fetch_upstream_free(own->upstream);
    mirror_notes_clear(&own->notes);
    g_clear_pointer(&own->chosen, g_ptr_array_unref);
    g_clear_pointer(&own->files, g_ptr_array_unref);
    g_clear_pointer(&own->by_key, g_hash_table_unref);
    g_clear_pointer(&own->entries, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Own, own_clear)

/* ---- what is here, and what is wanted ---- */

/* own_entry: (nullable) what was made of @entry in the last run. Borrowed. */
static const IndexEntry *
own_entry(const Own *own, const IndexEntry *entry)
{
    const Index *index = publish_import_index(own->import);

    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *old = g_ptr_array_index(index->entries, i);

        if (strcmp(old->name, entry->name) == 0 && strcmp(old->arch, entry->arch) == 0 &&
            g_strcmp0(index_entry_extension(old, PUBLISH_ORIGIN), own->options->source) == 0)
            return old;
    }
    return NULL;
}

/* needs_packing: files of simplestreams are images as they are, which no virt-builder takes from an index of ours. */
static bool
needs_packing(const Own *own)
{
    return fetch_upstream_is_streams(own->upstream);
}

/* was_packed: whether the last run made the image out of the same file. */
static bool
was_packed(const Own *own, const IndexEntry *entry)
{
    const IndexEntry *old = needs_packing(own) ? own_entry(own, entry) : NULL;
    g_autofree char *key = mirror_image_key(entry);

    return old != NULL && key != NULL && g_strcmp0(index_entry_extension(old, PUBLISH_ORIGIN_KEY), key) == 0;
}

static void
note_known(Own *own)
{
    const Index *index = publish_import_index(own->import);

    own->notes.known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    own->notes.gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *old = g_ptr_array_index(index->entries, i);
        const char *key = index_entry_extension(old, PUBLISH_ORIGIN_KEY);

        if (key != NULL && old->sha512 != NULL && !needs_packing(own))
            g_hash_table_replace(own->notes.known, g_strdup(key), g_strdup(old->sha512));
    }
}

static void
miss(Own *own, const IndexEntry *entry, const GError *problem)
{
    g_autofree char *name = g_strconcat(entry->name, ": ", NULL);

    g_ptr_array_add(own->report->missing, g_str_has_prefix(problem->message, name)
                                              ? g_strdup(problem->message)
                                              : g_strconcat(name, problem->message, NULL));
}

static void
list_files(Own *own)
{
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);

    own->files = g_ptr_array_new_with_free_func((GDestroyNotify)mirror_file_free);
    own->by_key = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < own->chosen->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(own->chosen, i);
        g_autoptr(GError) problem = NULL;

        if (!was_packed(own, entry) &&
            !mirror_wants(entry, false, own->files, own->by_key, by_name, &problem))
            miss(own, entry, problem);
    }
}

/* ---- entries ---- */

static const MirrorFile *
lookup(const Own *own, const char *key)
{
    const MirrorFile *file = key != NULL ? g_hash_table_lookup(own->by_key, key) : NULL;

    return file != NULL && file->sha512 != NULL ? file : NULL;
}

/* drop_field: the one at @position, and what is said about it: "KEY_size", "KEY_base". */
static void
drop_field(IndexEntry *entry, guint position)
{
    const IndexField *dropped = g_ptr_array_index(entry->extensions, position);
    g_autofree char *prefix = dropped->subkey == NULL ? g_strconcat(dropped->key, "_", NULL) : NULL;

    g_ptr_array_remove_index(entry->extensions, position);
    for (guint i = 0; prefix != NULL && i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);

        if (g_str_has_prefix(field->key, prefix))
            g_ptr_array_remove_index(entry->extensions, i--);
    }
}

/* drop_absent: no field may name a file that is not here. The image does without it. */
static void
drop_absent(Own *own, IndexEntry *entry)
{
    guint i = 0;

    while (i < entry->extensions->len) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);
        const char *digest = store_is_blob(field->value) ? strrchr(field->value, '/') + 1 : NULL;

        if (digest == NULL || lookup(own, digest) != NULL) {
            i++;
            continue;
        }
        g_ptr_array_add(
            own->report->warnings,
            g_strdup_printf("%s: published without '%s', which could not be had", entry->name, field->key));
        drop_field(entry, i);
        i = 0; /* more than one may be gone */
    }
}

static void
mark(const Own *own, IndexEntry *entry, const char *key)
{
    index_entry_set_extension(entry, PUBLISH_ORIGIN, own->options->source);
    index_entry_set_extension(entry, PUBLISH_ORIGIN_KEY, key);
}

/* take_file: @entry's file is the blob that came. */
static void
take_file(IndexEntry *entry, const MirrorFile *file)
{
    g_free(entry->file);
    entry->file = g_strdup_printf("blobs/sha512/%.2s/%s", file->sha512, file->sha512);
    g_free(entry->sha512);
    entry->sha512 = g_strdup(file->sha512);
    entry->compressed_size = file->got;
    g_clear_pointer(&entry->sig, g_free); /* by a key that nobody here pins */
}

static bool
pack(Own *own, IndexEntry *entry, const MirrorFile *file, GError **error)
{
    g_autofree char *came = g_strdup_printf("blobs/sha512/%.2s/%s", file->sha512, file->sha512);
    g_autofree char *path = g_build_filename(store_location(publish_import_store(own->import)), came, NULL);
    const PublishWork work = {.path = path, .threads = pool_default_threads()};

    return publish_import_pack(own->import, &work, entry, error);
}

/* drop_packed: the files that images were made of, but for one that some version has as an image of its own. */
static bool
drop_packed(const Own *own, GError **error)
{
    g_autoptr(GHashTable) needed = NULL;

    if (!needs_packing(own) || own->files->len == 0)
        return true;
    needed = mirror_needed(publish_import_store(own->import), error);
    if (needed == NULL)
        return false;
    for (guint i = 0; i < own->files->len; i++) {
        const MirrorFile *file = g_ptr_array_index(own->files, i);
        g_autofree char *path =
            file->sha512 != NULL ? g_strdup_printf("blobs/sha512/%.2s/%s", file->sha512, file->sha512) : NULL;

        if (path != NULL && !g_hash_table_contains(needed, path) &&
            !store_remove_blob(publish_import_store(own->import), path, error))
            return false;
    }
    return true;
}

/* make_entry: (transfer full) (nullable) what is published of @given; NULL where its file is not here. */
static IndexEntry *
make_entry(Own *own, const IndexEntry *given, GError **error)
{
    g_autoptr(IndexEntry) entry = index_entry_copy(given);
    g_autofree char *key = mirror_image_key(given);
    const MirrorFile *file = lookup(own, key);

    if (file == NULL)
        return NULL;
    take_file(entry, file);
    drop_absent(own, entry);
    if (needs_packing(own) && !pack(own, entry, file, error))
        return NULL;
    mark(own, entry, key);
    return g_steal_pointer(&entry);
}

/* keep_old: of an image that cannot be had now, what is here of it stays. */
static void
keep_old(const Own *own, const IndexEntry *given)
{
    const IndexEntry *old = own_entry(own, given);

    if (old != NULL)
        g_ptr_array_add(own->entries, index_entry_copy(old));
}

static bool
make_entries(Own *own, GError **error)
{
    own->entries = g_ptr_array_new_with_free_func((GDestroyNotify)index_entry_free);
    for (guint i = 0; i < own->chosen->len; i++) {
        const IndexEntry *given = g_ptr_array_index(own->chosen, i);
        g_autoptr(GError) problem = NULL;
        IndexEntry *entry = was_packed(own, given) ? NULL : make_entry(own, given, &problem);

        if (!interrupt_check(error)) {
            index_entry_free(entry);
            return false;
        }
        if (problem != NULL)
            miss(own, given, problem);
        if (entry != NULL)
            g_ptr_array_add(own->entries, entry);
        else
            keep_old(own, given);
    }
    return true;
}

/* ---- all together ---- */

/* note_missing: images whose files did not come. A manifest or delta that did not is a warning. */
static void
note_missing(Own *own, const MirrorSum *here)
{
    own->report->kept = *here;
    for (guint i = 0; i < own->files->len; i++) {
        const MirrorFile *file = g_ptr_array_index(own->files, i);

        if (file->sha512 != NULL) {
            own->report->fetched.files++;
            own->report->fetched.bytes += file->got;
        }
    }
    own->report->fetched.files -= here->files;
    own->report->fetched.bytes -= here->bytes;
    for (guint i = 0; i < own->chosen->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(own->chosen, i);
        g_autofree char *key = mirror_image_key(entry);
        const MirrorFile *file = key != NULL ? g_hash_table_lookup(own->by_key, key) : NULL;

        if (file != NULL && file->sha512 == NULL && file->error != NULL)
            miss(own, entry, file->error);
    }
}

static bool
fill(Own *own, GError **error)
{
    const MirrorOptions *options = own->options;
    const MirrorJob job = {.store = publish_import_store(own->import),
                           .upstream = own->upstream,
                           .notes = &own->notes,
                           .files = own->files,
                           .want_digests = options->want_digests,
                           .max_rate = options->max_rate};
    MirrorSum here, missing;

    if (!mirror_files_look(&job, &here, &missing, error))
        return false;
    if (options->is_dry) {
        own->report->kept = here;
        own->report->fetched = missing;
        return true;
    }
    if (!mirror_files_fetch(&job, error))
        return false;
    note_missing(own, &here);
    return make_entries(own, error) &&
           publish_import_finish(own->import, options->source, own->entries, &own->report->is_changed,
                                 error) &&
           drop_packed(own, error);
}

static bool
open_own(Own *own, GError **error)
{
    own->import = publish_import_open(own->options->dir, own->options->is_dry, error);
    if (own->import == NULL)
        return false;
    own->upstream = fetch_upstream_open(own->options->source, own->report->warnings, error);
    if (own->upstream == NULL)
        return false;
    own->chosen = mirror_choose(fetch_upstream_index(own->upstream), &own->options->choice);
    own->report->images = own->chosen->len;
    if (own->chosen->len == 0 && fetch_upstream_index(own->upstream)->entries->len > 0)
        return error_set_code(error, BASE_ERROR_NOT_FOUND,
                              "source '%s': no image is chosen by what was asked for; nothing was changed",
                              own->options->source);
    note_known(own);
    list_files(own);
    return true;
}

static bool
set_version(Own *own, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(publish_import_store(own->import), error);

    if (generations == NULL)
        return false;
    if (generations->len > 0)
        own->report->version = g_array_index(generations, StoreGeneration, generations->len - 1).version;
    return true;
}

/* prune: who publishes images of their own here did not ask for their past to be forgotten, unless they said --keep. */
static bool
prune(Own *own, GError **error)
{
    MirrorOptions options = *own->options;

    if (!options.is_keep_asked && publish_import_has_own(own->import))
        options.keep = MIRROR_MAX_KEEP;
    return mirror_prune(publish_import_store(own->import), &own->notes, &options, own->report, error);
}

bool
mirror_own(const MirrorOptions *options, MirrorReport *report, GError **error)
{
    g_auto(Own) own = {.options = options, .report = report};

    if (!open_own(&own, error) || !fill(&own, error) || !set_version(&own, error) || !prune(&own, error))
        return false;
    return report->missing->len == 0 ||
           error_set(error, "%u of %u images are missing or not the newest: %s", report->missing->len,
                     own.chosen->len, (const char *)g_ptr_array_index(report->missing, 0));
}
