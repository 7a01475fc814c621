// SPDX-License-Identifier: Apache-2.0
/* One JSON file per pulled image, content and source: the source's name and the entry as a one-image index text. */
#include "fetch/record.h"

#include "base/file.h"
#include "base/json.h"
#include "base/paths.h"

#include <string.h>

#define MAX_RECORD (1u << 20) /* an entry with long notes */

static char *
records_folder(void)
{
    g_autofree char *state = path_state();

    return g_build_filename(state, "pulled", NULL);
}

/* leaf_of: (transfer full) one content may be several images: the name's digest tells them apart, and is short. */
static char *
leaf_of(const CacheKey *key, const char *source, const IndexEntry *entry)
{
    g_autofree char *image = g_strdup_printf("%s %s", entry->name, entry->arch);
    g_autofree char *digest = digest_bytes(DIGEST_SHA256, image, strlen(image));

    return g_strdup_printf("%s.%s.%.16s.json", key->id, source, digest);
}

bool
record_write(const CacheKey *key, const RecordOwner *owner, const IndexEntry *entry, GError **error)
{
    g_autofree char *folder = records_folder();
    g_autofree char *leaf = leaf_of(key, owner->source, entry);
    g_autofree char *path = g_build_filename(folder, leaf, NULL), *text = NULL, *printed = NULL;
    g_autoptr(Index) index = index_new();
    g_autoptr(Json) json = json_new_object();

    g_ptr_array_add(index->entries, index_entry_copy(entry));
    text = index_print(index, error);
    if (text == NULL)
        return false;
    json_set_text(json, "source", owner->source);
    json_set_text(json, "repo_id", owner->repo_id);
    json_set_text(json, "entry", text);
    printed = json_print(json);
    return file_make_dirs(folder, 0755, error) &&
           file_write_atomic(path, printed, strlen(printed), 0644, error);
}

/* The entry that the file at @path records, or NULL: then it is as if it were not there. */
static IndexEntry *
record_read(const char *path, char **out_source, char **out_repo_id)
{
    g_autoptr(GBytes) text = NULL;
    g_autoptr(Json) json = NULL;
    g_autoptr(Index) index = NULL;

    if (!json_read(path, MAX_RECORD, &json, NULL) || json == NULL || json_get_text(json, "source") == NULL ||
        json_get_text(json, "entry") == NULL)
        return NULL;
    text = g_bytes_new(json_get_text(json, "entry"), strlen(json_get_text(json, "entry")));
    index =
        index_parse(text, path, NULL, NULL); /* our own words: written by record_write() after verification */
    if (index == NULL || index->entries->len != 1)
        return NULL;
    *out_source = g_strdup(json_get_text(json, "source"));
    *out_repo_id = g_strdup(json_get_text(json, "repo_id"));
    return index_entry_copy(g_ptr_array_index(index->entries, 0));
}

uint64_t
record_size(const char *source, const IndexEntry *entry)
{
    g_auto(CacheKey) key = {0};
    g_autofree char *folder = records_folder(), *leaf = NULL, *path = NULL, *found = NULL, *repo_id = NULL;
    g_autoptr(IndexEntry) recorded = NULL;

    if (!cache_key_init(&key, entry, NULL))
        return 0;
    leaf = leaf_of(&key, source, entry);
    path = g_build_filename(folder, leaf, NULL);
    recorded = record_read(path, &found, &repo_id);
    return recorded == NULL ? 0 : recorded->size;
}

static bool
is_cached(const IndexEntry *entry)
{
    g_auto(CacheKey) key = {0};
    DiskFormat format;
    g_autofree char *path = cache_key_init(&key, entry, NULL) ? cache_find(&key, &format) : NULL;

    return path != NULL;
}

IndexEntry *
record_find(const char *source, const char *name, const char *arch, char **out_source)
{
    g_autofree char *folder = records_folder();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(IndexEntry) best = NULL;

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, leaf, NULL), *found_source = NULL, *repo_id = NULL;
        g_autoptr(IndexEntry) entry =
            g_str_has_suffix(leaf, ".json") ? record_read(path, &found_source, &repo_id) : NULL;

        if (entry == NULL || strcmp(entry->name, name) != 0 || strcmp(entry->arch, arch) != 0 ||
            (source != NULL && strcmp(source, found_source) != 0) || !is_cached(entry) ||
            (best != NULL && best->revision >= entry->revision))
            continue;
        index_entry_free(best);
        best = g_steal_pointer(&entry);
        g_free(*out_source);
        *out_source = g_steal_pointer(&found_source);
    }
    return g_steal_pointer(&best);
}

void
recorded_free(Recorded *recorded)
{
    if (recorded == NULL)
        return;
    index_entry_free(recorded->entry);
    g_free(recorded->source);
    g_free(recorded);
}

/* By source, name and architecture, the highest revision first. */
static int
compare_recorded(const void *a, const void *b)
{
    const Recorded *first = *(Recorded *const *)a, *second = *(Recorded *const *)b;
    int order = strcmp(first->source, second->source);

    if (order == 0)
        order = strcmp(first->entry->name, second->entry->name);
    if (order == 0)
        order = strcmp(first->entry->arch, second->entry->arch);
    return order != 0 ? order
                      : (first->entry->revision < second->entry->revision) -
                            (first->entry->revision > second->entry->revision);
}

GPtrArray *
record_all(void)
{
    g_autofree char *folder = records_folder();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)recorded_free);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, leaf, NULL), *source = NULL, *repo_id = NULL;
        g_autoptr(IndexEntry) entry =
            g_str_has_suffix(leaf, ".json") ? record_read(path, &source, &repo_id) : NULL;
        Recorded *recorded;

        if (entry == NULL)
            continue;
        recorded = g_new0(Recorded, 1);
        *recorded = (Recorded){g_steal_pointer(&entry), g_steal_pointer(&source)};
        g_ptr_array_add(all, recorded);
    }
    g_ptr_array_sort(all, compare_recorded);
    return all;
}

GPtrArray *
record_list(void)
{
    g_autoptr(GPtrArray) all = record_all();
    GPtrArray *newest = g_ptr_array_new_with_free_func((GDestroyNotify)recorded_free);

    for (guint i = 0; i < all->len; i++) {
        Recorded **at = (Recorded **)&all->pdata[i];
        const Recorded *last = newest->len > 0 ? g_ptr_array_index(newest, newest->len - 1) : NULL;

        if (!is_cached((*at)->entry))
            continue;
        if (last != NULL && strcmp(last->source, (*at)->source) == 0 &&
            strcmp(last->entry->name, (*at)->entry->name) == 0 &&
            strcmp(last->entry->arch, (*at)->entry->arch) == 0)
            continue;
        g_ptr_array_add(newest, *at);
        *at = NULL;
    }
    return newest;
}

static bool
is_owner(const RecordOwner *owner, const char *source, const char *repo_id)
{
    return owner->repo_id != NULL ? g_strcmp0(owner->repo_id, repo_id) == 0
                                  : strcmp(owner->source, source) == 0;
}

/* (element-type utf8) the records of @owner's image with @entry's name and architecture above @revision. */
static GPtrArray *
find_above(const RecordOwner *owner, const IndexEntry *entry, uint64_t revision, uint64_t *out_highest)
{
    g_autofree char *folder = records_folder();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, leaf, NULL), *source = NULL, *repo_id = NULL;
        g_autoptr(IndexEntry) found =
            g_str_has_suffix(leaf, ".json") ? record_read(path, &source, &repo_id) : NULL;

        if (found == NULL || strcmp(found->name, entry->name) != 0 || strcmp(found->arch, entry->arch) != 0 ||
            !is_owner(owner, source, repo_id) || found->revision <= revision)
            continue;
        *out_highest = MAX(*out_highest, found->revision);
        g_ptr_array_add(paths, g_steal_pointer(&path));
    }
    return paths;
}

uint64_t
record_revision(const RecordOwner *owner, const IndexEntry *entry)
{
    uint64_t highest = 0;
    g_autoptr(GPtrArray) paths = find_above(owner, entry, 0, &highest);

    return highest;
}

bool
record_forget_above(const RecordOwner *owner, const IndexEntry *entry, GError **error)
{
    uint64_t highest = 0;
    g_autoptr(GPtrArray) paths = find_above(owner, entry, entry->revision, &highest);

    for (guint i = 0; i < paths->len; i++)
        if (!file_remove(g_ptr_array_index(paths, i), error))
            return false;
    return true;
}
