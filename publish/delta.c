// SPDX-License-Identifier: Apache-2.0
/* Deltas of `repo add`. What they need of a base are the digests of its pieces, which the publisher keeps among his notes;
 * where they are not there (a repository that came from elsewhere), the base is unpacked once more. */
#include "publish/delta.h"

#include "base/interrupt.h"

#include <string.h>

#define NOTE_PREFIX "grains-"
#define NOTE_DIGITS 32 /* of the digest: enough to tell images apart */
#define MAX_NOTE (256u << 20)
#define WORTH_PERCENT 80u   /* of the whole download; above it nothing is gained */
#define MAX_NEW_PERCENT 75u /* of the data: known before anything is packed */
#define BLOB_PREFIX "blobs/sha512/"

void
publish_base_free(PublishBase *base)
{
    g_free(base->sha512);
    g_free(base);
}

void
publish_delta_free(PublishDelta *delta)
{
    store_upload_clear(&delta->upload);
    g_free(delta->base_sha512);
    g_free(delta->sha512);
    g_free(delta->path);
    g_free(delta);
}

/* ---- bases ---- */

static PublishBase *
base_new(uint64_t revision, const char *sha512)
{
    PublishBase *base = g_new0(PublishBase, 1);

    base->revision = revision;
    base->sha512 = g_ascii_strdown(sha512, -1);
    return base;
}

static int
newest_first(const void *a, const void *b)
{
    const PublishBase *first = *(PublishBase *const *)a, *second = *(PublishBase *const *)b;

    return (first->revision < second->revision) - (first->revision > second->revision);
}

GPtrArray *
publish_delta_bases(const IndexEntry *old, unsigned max)
{
    GPtrArray *bases = g_ptr_array_new_with_free_func((GDestroyNotify)publish_base_free);

    if (old == NULL || old->sha512 == NULL || max == 0)
        return bases;
    for (guint i = 0; i < old->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(old->extensions, i);
        IndexDelta delta;

        if (index_delta_parse(old, field, &delta))
            g_ptr_array_add(bases, base_new(delta.revision, delta.base_sha512));
    }
    g_ptr_array_add(bases, base_new(old->revision, old->sha512));
    g_ptr_array_sort(bases, newest_first);
    if (bases->len > max)
        g_ptr_array_set_size(bases, (int)max);
    return bases;
}

/* By revision, the newest first; the delta of the latest revision before an older one from the same base. */
static int
compare_steps(const void *a, const void *b)
{
    const IndexDelta *first = a, *second = b;

    return (first->revision < second->revision) - (first->revision > second->revision);
}

static GArray *
known_steps(const IndexEntry *old)
{
    GArray *known = g_array_new(FALSE, FALSE, sizeof(IndexDelta));

    for (guint i = 0; i < old->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(old->extensions, i);
        IndexDelta delta;

        if (index_delta_parse(old, field, &delta) || index_step_parse(old, field, &delta))
            g_array_append_val(known, delta);
    }
    g_array_sort(known, compare_steps);
    return known;
}

GArray *
publish_delta_steps(const IndexEntry *old, const IndexDelta *deltas, unsigned n)
{
    g_autoptr(GHashTable) reached = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GArray) known = NULL;
    GArray *steps = g_array_new(FALSE, FALSE, sizeof(IndexDelta));

    if (old == NULL || old->sha512 == NULL)
        return steps;
    for (unsigned i = 0; i < n; i++)
        g_hash_table_add(reached, (gpointer)deltas[i].base_sha512);
    known = known_steps(old);
    for (guint i = 0; i < known->len && steps->len < PUBLISH_MAX_STEPS; i++) {
        const IndexDelta *step = &g_array_index(known, IndexDelta, i);

        if (!g_hash_table_contains(reached, step->to_sha512) ||
            !g_hash_table_add(reached, (gpointer)step->base_sha512))
            continue;
        g_array_append_val(steps, *step);
    }
    return steps;
}

/* ---- what is known of a base ---- */

static char *
note_name(const char *sha512)
{
    return g_strdup_printf(NOTE_PREFIX "%.*s", NOTE_DIGITS, sha512);
}

static DiskGrains *
unpack_grains(const PublishDeltaJob *job, const PublishBase *base, GError **error)
{
    g_autofree char *path = g_strdup_printf(BLOB_PREFIX "%.2s/%s", base->sha512, base->sha512);
    g_autofree char *label =
        g_strdup_printf("unpack %s revision %" G_GUINT64_FORMAT, job->name, base->revision);
    g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;
    g_auto(Fd) fd = store_open_blob(job->store, path, error);
    g_autoptr(Progress) progress = NULL;
    uint64_t size;

    if (fd < 0 || !disk_xz_raw_size(fd, path, &size, error) ||
        !store_upload_begin(job->store, &upload, error))
        return NULL;
    progress = progress_new(label, size);
    if (!disk_xz_decompress(fd, path, upload.fd, store_location(job->store), size, job->threads, progress,
                            error))
        return NULL;
    return disk_grains_read(upload.fd, path, error);
}

static DiskGrains *
load_grains(const PublishDeltaJob *job, const PublishBase *base, GError **error)
{
    g_autofree char *name = note_name(base->sha512);
    g_autoptr(GBytes) kept = store_read_private(job->store, name, MAX_NOTE, NULL);
    DiskGrains *grains = kept != NULL ? disk_grains_parse(kept, name, NULL) : NULL;

    return grains != NULL ? grains : unpack_grains(job, base, error);
}

/* ---- one delta ---- */

static void
set_digest(uint8_t out[DISK_SHA512_BYTES], const char *hex)
{
    for (size_t i = 0; i < DISK_SHA512_BYTES; i++)
        out[i] = (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
}

static unsigned
percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (unsigned)(part * 100 / whole) : 0;
}

static bool
write_delta(const PublishDeltaJob *job, const PublishBase *base, DiskDelta *plan, uint64_t new_bytes,
            PublishDelta *out_delta, GError **error)
{
    g_autofree char *label =
        g_strdup_printf("delta %s from revision %" G_GUINT64_FORMAT, job->name, base->revision);
    g_autoptr(Progress) progress = progress_new(label, new_bytes);

    set_digest(plan->base_sha512, base->sha512);
    set_digest(plan->image_sha512, job->sha512);
    out_delta->revision = base->revision;
    out_delta->base_sha512 = g_strdup(base->sha512);
    return store_upload_begin(job->store, &out_delta->upload, error) &&
           disk_delta_write(plan, job->fd, job->path, out_delta->upload.fd, store_location(job->store),
                            job->threads, progress, &out_delta->size, &out_delta->sha512, error);
}

static PublishDelta *
make_one(const PublishDeltaJob *job, const PublishBase *base, uint64_t data_bytes, GError **error)
{
    g_autoptr(DiskGrains) grains = load_grains(job, base, error);
    g_autoptr(DiskDelta) plan = NULL;
    PublishDelta *delta;
    uint64_t new_bytes;

    if (grains == NULL)
        return NULL;
    plan = disk_delta_plan(job->fd, job->path, grains, &new_bytes, error);
    if (plan == NULL)
        return NULL;
    if (percent(new_bytes, data_bytes) > MAX_NEW_PERCENT) {
        error_set(
            error,
            "%u %% of the data is in no 4 KiB piece of that revision; an image that is upgraded in place, or "
            "rebuilt with its files on 4 KiB borders, keeps deltas small",
            percent(new_bytes, data_bytes));
        return NULL;
    }
    delta = g_new0(PublishDelta, 1);
    delta->upload = STORE_UPLOAD_NONE;
    if (write_delta(job, base, plan, new_bytes, delta, error)) {
        if (percent(delta->size, job->compressed_size) < WORTH_PERCENT)
            return delta;
        error_set(error, "it would have %u %% of the size of the whole image",
                  percent(delta->size, job->compressed_size));
    }
    publish_delta_free(delta);
    return NULL;
}

bool
publish_delta_make(const PublishDeltaJob *job, GPtrArray *deltas, GPtrArray *notes, GBytes **out_grains,
                   GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(DiskGrains) own = disk_grains_read(job->fd, job->path, &local);

    *out_grains = NULL;
    if (own == NULL) {
        g_ptr_array_add(notes, g_strdup_printf("%s: no deltas: %s", job->name, local->message));
        return interrupt_check(error);
    }
    *out_grains = disk_grains_print(own);
    for (guint i = 0; i < job->bases->len; i++) {
        const PublishBase *base = g_ptr_array_index(job->bases, i);
        g_autoptr(GError) why = NULL;
        PublishDelta *delta = make_one(job, base, (uint64_t)own->grains->len * DISK_GRAIN, &why);

        if (delta != NULL)
            g_ptr_array_add(deltas, delta);
        else if (!interrupt_check(error))
            return false;
        else
            g_ptr_array_add(notes, g_strdup_printf("%s: no delta from revision %" G_GUINT64_FORMAT ": %s",
                                                   job->name, base->revision, why->message));
    }
    return true;
}

bool
publish_delta_store(Store *store, PublishDelta *delta, GError **error)
{
    return store_upload_finish(store, &delta->upload, delta->sha512, &delta->path, error);
}

/* ---- the notes ---- */

bool
publish_delta_keep(Store *store, const char *sha512, GBytes *grains, GError **error)
{
    g_autofree char *name = note_name(sha512);

    return store_write_private(store, name, g_bytes_get_data(grains, NULL), g_bytes_get_size(grains), error);
}

bool
publish_delta_forget(Store *store, const Index *index, GError **error)
{
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (entry->sha512 != NULL)
            g_hash_table_add(needed, note_name(entry->sha512));
        for (guint j = 0; j < entry->extensions->len; j++) {
            const IndexField *field = g_ptr_array_index(entry->extensions, j);
            IndexDelta delta;

            if (index_delta_parse(entry, field, &delta))
                g_hash_table_add(needed, note_name(delta.base_sha512));
        }
    }
    return store_sweep_private(store, NOTE_PREFIX, needed, error);
}
