// SPDX-License-Identifier: Apache-2.0
/* The files that an index names: there, of the right size, and of the right content, read on all cores. */
#include "publish/check_files.h"

#include "base/digest.h"
#include "base/pool.h"
#include "base/progress.h"
#include "disk/disk.h"

#include <string.h>

/* Wanted: one file to look at. Borrowed from the index and the store. */
typedef struct {
    const IndexEntry *entry;
    const char *path;
    const StoreBlob *blob;
    bool is_image; /* else a manifest or another blob of an extension field */
    char *message; /* what is wrong with the content */
} Wanted;

static void
wanted_free(gpointer data)
{
    Wanted *wanted = data;

    g_free(wanted->message);
    g_free(wanted);
}

typedef struct {
    Store *store;
    GPtrArray *wanted; /* (element-type Wanted) */
    Progress *progress;
} Reading;

static const char *
digest_in_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* compare_content: NULL, or (transfer full) what is wrong. The digest comes first: nothing else is believed before. */
static char *
compare_content(const Wanted *wanted, int fd, GError **error)
{
    g_autofree char *sha512 = digest_file(DIGEST_SHA512, fd, wanted->path, error);
    g_autoptr(GError) local = NULL;
    uint64_t raw_size;

    if (sha512 == NULL)
        return NULL;
    if (strcmp(sha512, digest_in_name(wanted->path)) != 0)
        return g_strdup_printf("%s: damaged: its sha512 is %.16s...; add the image again", wanted->path,
                               sha512);
    if (!wanted->is_image || !disk_is_xz(fd))
        return NULL;
    if (!disk_xz_raw_size(fd, wanted->path, &raw_size, &local))
        return g_strdup(local->message);
    if (g_strcmp0(wanted->entry->format, "raw") == 0 && raw_size != wanted->entry->size)
        return g_strdup_printf("%s: decompresses to %" G_GUINT64_FORMAT " bytes, but size=%" G_GUINT64_FORMAT,
                               wanted->path, raw_size, wanted->entry->size);
    return NULL;
}

static bool
read_one(size_t item, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    Reading *reading = context;
    Wanted *wanted = g_ptr_array_index(reading->wanted, item);
    g_autoptr(GError) local = NULL;
    g_auto(Fd) fd = store_open_blob(reading->store, wanted->path, &local);

    if (fd >= 0)
        wanted->message = compare_content(wanted, fd, &local);
    if (g_error_matches(local, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    if (local != NULL)
        wanted->message = g_strdup(local->message);
    progress_add(reading->progress, wanted->blob->size);
    return true;
}

/* want: a file that is there and of the right size; whatever else it is becomes a finding. */
static void
want(GPtrArray *all, GHashTable *present, const IndexEntry *entry, const char *path, bool is_image,
     GPtrArray *findings)
{
    const StoreBlob *blob = g_hash_table_lookup(present, path);
    Wanted *wanted;

    if (!store_is_blob(path)) {
        finding_add(findings, FINDING_ERROR, "index", entry->line,
                    "%s: file '%s' is not named by its digest below blobs/", entry->name, path);
    } else if (blob == NULL) {
        finding_add(findings, FINDING_ERROR, "index", entry->line, "%s: %s is missing; add the image again",
                    entry->name, path);
    } else if (is_image && entry->compressed_size != 0 && blob->size != entry->compressed_size) {
        finding_add(findings, FINDING_ERROR, "index", entry->line,
                    "%s: %s has %" G_GUINT64_FORMAT " bytes, but compressed_size=%" G_GUINT64_FORMAT,
                    entry->name, path, blob->size, entry->compressed_size);
    } else {
        wanted = g_new0(Wanted, 1);
        *wanted = (Wanted){entry, path, blob, is_image, NULL};
        g_ptr_array_add(all, wanted);
    }
}

static void
want_entry(GPtrArray *all, GHashTable *present, const IndexEntry *entry, GPtrArray *findings)
{
    want(all, present, entry, entry->file, true, findings);
    if (entry->sha512 == NULL)
        finding_add(findings, FINDING_ERROR, "index", entry->line, "%s: has no checksum[sha512]",
                    entry->name);
    else if (store_is_blob(entry->file) && strcmp(entry->sha512, digest_in_name(entry->file)) != 0)
        finding_add(findings, FINDING_ERROR, "index", entry->line,
                    "%s: checksum[sha512] is not the one in its file's name", entry->name);
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);

        if (g_str_has_prefix(field->value, "blobs/"))
            want(all, present, entry, field->value, false, findings);
    }
}

static bool
read_all(Store *store, GPtrArray *all, unsigned threads, GError **error)
{
    g_autoptr(Progress) progress = NULL;
    Reading reading = {store, all, NULL};
    uint64_t total = 0;

    for (guint i = 0; i < all->len; i++)
        total += ((Wanted *)g_ptr_array_index(all, i))->blob->size;
    progress = progress_new("check", total);
    reading.progress = progress;
    return pool_run(threads, all->len, read_one, &reading, error);
}

bool
check_files(Store *store, const Index *index, GHashTable *present, const PublishCheckOptions *options,
            GPtrArray *findings, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(wanted_free);

    for (guint i = 0; i < index->entries->len; i++)
        want_entry(all, present, g_ptr_array_index(index->entries, i), findings);
    if (options->is_quick)
        return true;
    if (!read_all(store, all, options->threads, error))
        return false;
    for (guint i = 0; i < all->len; i++) {
        const Wanted *wanted = g_ptr_array_index(all, i);

        if (wanted->message != NULL)
            finding_add(findings, FINDING_ERROR, "index", wanted->entry->line, "%s: %s", wanted->entry->name,
                        wanted->message);
    }
    return true;
}
