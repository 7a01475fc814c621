// SPDX-License-Identifier: Apache-2.0
/* What a mirror may forget: versions by number and age, then what none of them names. Like `repo prune`, for versions that
 * somebody else signed and whose files may have names of their own. */
#include "mirror/run.h"
#include "publish/publish.h"

#include <string.h>

#define N_FORMS 2

/* add_needed: the blobs of one version: those that its names lead to and those that its index names. */
static bool
add_needed(Store *store, uint64_t version, GHashTable *needed, GError **error)
{
    static const char *const FORMS[N_FORMS] = {"index", "index.asc"};
    g_autoptr(GHashTable) links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer path;
    unsigned n = 0;

    if (!store_add_links(store, version, links, error))
        return false;
    g_hash_table_iter_init(&iter, links);
    while (g_hash_table_iter_next(&iter, NULL, &path))
        g_hash_table_add(needed, g_strdup(path));
    for (size_t i = 0; i < N_FORMS; i++) {
        g_auto(StoreText) text = {FORMS[i], NULL};
        g_autoptr(GError) problem = NULL;

        if (store_read_generation(store, version, &text, 1, INDEX_MAX_BYTES, &problem)) {
            publish_add_text_references(needed, text.content);
            n++;
        } else if (!g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
    }
    return n > 0 ||
           error_set(error, "%s: version %" G_GUINT64_FORMAT " has no index", store_location(store), version);
}

static GHashTable *
new_set(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static bool
add_all_needed(Store *store, const GArray *generations, GHashTable *needed, GError **error)
{
    for (guint i = 0; i < generations->len; i++)
        if (!add_needed(store, g_array_index(generations, StoreGeneration, i).version, needed, error)) {
            g_prefix_error(error, "no file was removed, as what a version needs is not known: ");
            return false;
        }
    return true;
}

GHashTable *
mirror_needed(Store *store, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(store, error);
    g_autoptr(GHashTable) needed = new_set();

    return generations != NULL && add_all_needed(store, generations, needed, error) ? g_steal_pointer(&needed)
                                                                                    : NULL;
}

bool
mirror_is_complete(Store *store, MirrorSum *out_files, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(store, error);
    g_autoptr(GHashTable) needed = new_set();
    GHashTableIter iter;
    gpointer path;

    *out_files = (MirrorSum){0};
    if (generations == NULL || generations->len == 0 ||
        !add_needed(store, g_array_index(generations, StoreGeneration, generations->len - 1).version, needed,
                    error))
        return false;
    g_hash_table_iter_init(&iter, needed);
    while (g_hash_table_iter_next(&iter, &path, NULL)) {
        g_auto(Fd) fd = store_open_blob(store, path, error);
        uint64_t size;

        if (fd < 0 || !fd_size(fd, path, &size, error))
            return false;
        out_files->files++;
        out_files->bytes += size;
    }
    return true;
}

/* Names that the index has no more are shown for the grace period: somebody may be in the middle of a download. */
static bool
drop_names(Store *store, MirrorNotes *notes, int64_t before, bool is_dry, GError **error)
{
    GHashTableIter iter;
    gpointer name, since;
    bool has_changed = false;

    g_hash_table_iter_init(&iter, notes->gone);
    while (g_hash_table_iter_next(&iter, &name, &since)) {
        if (g_ascii_strtoll(since, NULL, 10) >= before || is_dry)
            continue;
        if (store_is_link_name(name) && !store_remove_link(store, name, error))
            return false;
        g_hash_table_iter_remove(&iter);
        has_changed = true;
    }
    return !has_changed || (store_sweep_links(store, error) && mirror_notes_write(store, notes, error));
}

static bool
drop_versions(Store *store, GArray *generations, const GArray *old, MirrorReport *report, bool is_dry,
              GError **error)
{
    for (guint i = 0; i < old->len; i++) {
        const uint64_t version = g_array_index(old, guint64, i);

        for (guint j = 0; j < generations->len; j++)
            if (g_array_index(generations, StoreGeneration, j).version == version)
                g_array_remove_index(generations, j--);
        if (!is_dry && !store_remove_generation(store, version, error))
            return false;
        report->versions_removed++;
    }
    return true;
}

static bool
drop_blobs(Store *store, GHashTable *needed, int64_t before, MirrorReport *report, bool is_dry,
           GError **error)
{
    g_autoptr(GPtrArray) blobs = store_list_blobs(store, error);

    for (guint i = 0; blobs != NULL && i < blobs->len; i++) {
        const StoreBlob *blob = g_ptr_array_index(blobs, i);

        if (g_hash_table_contains(needed, blob->path) || blob->written >= before)
            continue;
        if (!is_dry && !store_remove_blob(store, blob->path, error))
            return false;
        report->removed.files++;
        report->removed.bytes += blob->size;
    }
    return blobs != NULL;
}

bool
mirror_prune(Store *store, MirrorNotes *notes, const MirrorOptions *options, MirrorReport *report,
             GError **error)
{
    /* Clocks of file systems are coarse: an age of 0 includes what was written in this second. */
    const int64_t before = g_get_real_time() / G_USEC_PER_SEC - options->grace + 1;
    g_autoptr(GArray) generations = store_list_generations(store, error), old = NULL;
    g_autoptr(GHashTable) needed = new_set();

    if (generations == NULL)
        return false;
    old = publish_choose_old(generations, options->keep, before);
    if (!drop_names(store, notes, before, options->is_dry, error) ||
        !drop_versions(store, generations, old, report, options->is_dry, error) ||
        !add_all_needed(store, generations, needed, error))
        return false;
    return drop_blobs(store, needed, before, report, options->is_dry, error) &&
           (options->is_dry || store_part_sweep(store, before, NULL, error));
}
