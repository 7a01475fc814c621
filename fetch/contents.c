// SPDX-License-Identifier: Apache-2.0
#include "fetch/contents.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/paths.h"
#include "fetch/seal.h"

#include <string.h>
#include <sys/stat.h>

/* Of the publisher, or made here. */
static const char *const MANIFESTS[] = {".manifest", ".local-manifest"};

static void
image_free(void *data)
{
    CacheImage *image = data;

    if (image == NULL)
        return;
    fd_close(image->fd);
    fd_close(image->lock);
    g_ptr_array_unref(image->names);
    g_free(image->id);
    g_free(image->path);
    g_free(image);
}

static void
litter_free(void *data)
{
    CacheLitter *litter = data;

    g_free(litter->id);
    g_free(litter->path);
    g_free(litter);
}

void
contents_free(CacheContents *contents)
{
    if (contents == NULL)
        return;
    g_ptr_array_unref(contents->images);
    g_ptr_array_unref(contents->litter);
    g_ptr_array_unref(contents->recorded);
    uses_free(contents->uses);
    g_free(contents);
}

static uint64_t
disk_bytes(const struct stat *status)
{
    return (uint64_t)status->st_blocks * 512;
}

/* (transfer full) (nullable) */
static CacheImage *
new_image(const CacheContents *contents, const char *folder, const char *leaf)
{
    static const DiskFormat FORMATS[] = {DISK_RAW, DISK_QCOW2};
    g_autofree char *path = g_build_filename(folder, leaf, NULL);
    const char *dot = strrchr(leaf, '.');
    CacheImage *image = NULL;
    struct stat status, beside;

    for (size_t i = 0; *leaf != '.' && dot != NULL && i < G_N_ELEMENTS(FORMATS); i++) {
        if (strcmp(dot + 1, disk_format_name(FORMATS[i])) != 0 || lstat(path, &status) < 0 ||
            !S_ISREG(status.st_mode))
            continue;
        image = g_new0(CacheImage, 1);
        *image = (CacheImage){.id = g_strndup(leaf, (gsize)(dot - leaf)),
                              .path = g_steal_pointer(&path),
                              .format = FORMATS[i],
                              .size = (uint64_t)status.st_size,
                              .disk_bytes = disk_bytes(&status),
                              .names = g_ptr_array_new(),
                              .lock = -1,
                              .fd = -1};
        image->last_used = seal_last_used(image->id);
        if (image->last_used == 0)
            image->last_used = MAX((int64_t)status.st_mtime, (int64_t)status.st_atime);
        for (size_t k = 0; k < G_N_ELEMENTS(MANIFESTS); k++) {
            g_autofree char *manifest = g_strconcat(folder, "/", image->id, MANIFESTS[k], NULL);

            if (lstat(manifest, &beside) == 0)
                image->disk_bytes += disk_bytes(&beside);
        }
        break;
    }
    for (guint i = 0; image != NULL && i < contents->recorded->len; i++) {
        Recorded *recorded = g_ptr_array_index(contents->recorded, i);
        g_auto(CacheKey) key = {0};

        if (cache_key_init(&key, recorded->entry, NULL) && strcmp(key.id, image->id) == 0)
            g_ptr_array_add(image->names, recorded);
    }
    return image;
}

static void
add_litter(CacheContents *contents, const char *folder, const char *leaf)
{
    const char *id = g_str_has_prefix(leaf, ".tmp-") ? leaf + strlen(".tmp-") : leaf;
    const char *dot = strchr(id, '.');
    g_autofree char *path = g_build_filename(folder, leaf, NULL);
    CacheLitter *litter;
    struct stat status;

    if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    litter = g_new0(CacheLitter, 1);
    *litter = (CacheLitter){.id = dot == NULL ? g_strdup(id) : g_strndup(id, (gsize)(dot - id)),
                            .path = g_steal_pointer(&path),
                            .disk_bytes = disk_bytes(&status),
                            .changed = (int64_t)status.st_mtime};
    g_ptr_array_add(contents->litter, litter);
}

static bool
is_manifest(const char *leaf)
{
    return g_str_has_suffix(leaf, MANIFESTS[0]) || g_str_has_suffix(leaf, MANIFESTS[1]);
}

static bool
has_image(const CacheContents *contents, const char *leaf)
{
    for (guint i = 0; i < contents->images->len; i++) {
        const CacheImage *image = g_ptr_array_index(contents->images, i);

        if (g_str_has_prefix(leaf, image->id) && leaf[strlen(image->id)] == '.')
            return true;
    }
    return false;
}

static int
compare_use(const void *a, const void *b)
{
    const CacheImage *first = *(CacheImage *const *)a, *second = *(CacheImage *const *)b;

    if (first->last_used != second->last_used)
        return first->last_used < second->last_used ? -1 : 1;
    return strcmp(first->id, second->id);
}

/* Every name in @folder. */
static char **
list_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    GPtrArray *names = g_ptr_array_new();

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;)
        g_ptr_array_add(names, g_strdup(leaf));
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

CacheContents *
contents_read(void)
{
    g_autofree char *images = cache_images_folder(), *cache = path_cache();
    g_autofree char *partial = g_build_filename(cache, "partial", NULL);
    g_auto(GStrv) in_images = list_folder(images), in_partial = list_folder(partial);
    CacheContents *contents = g_new0(CacheContents, 1);

    contents->recorded = record_all();
    contents->images = g_ptr_array_new_with_free_func(image_free);
    contents->litter = g_ptr_array_new_with_free_func(litter_free);
    for (char **leaf = in_images; *leaf != NULL; leaf++) {
        CacheImage *image = new_image(contents, images, *leaf);

        if (image != NULL)
            g_ptr_array_add(contents->images, image);
    }
    g_ptr_array_sort(contents->images, compare_use);
    for (char **leaf = in_images; *leaf != NULL; leaf++)
        if (**leaf == '.' || (is_manifest(*leaf) && !has_image(contents, *leaf)))
            add_litter(contents, images, *leaf);
    for (char **leaf = in_partial; *leaf != NULL; leaf++)
        add_litter(contents, partial, *leaf);
    return contents;
}

void
contents_find_users(CacheContents *contents)
{
    uses_free(contents->uses);
    contents->uses = uses_find();
    for (guint i = 0; i < contents->images->len; i++) {
        CacheImage *image = g_ptr_array_index(contents->images, i);

        image->users = uses_of(contents->uses, image->path);
    }
}

char *
contents_name(const CacheImage *image)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < image->names->len; i++) {
        const Recorded *recorded = g_ptr_array_index(image->names, i);

        g_string_append_printf(text, "%s%s/%s", i == 0 ? "" : ", ", recorded->source, recorded->entry->name);
    }
    return text->len > 0 ? g_strdup(text->str) : g_strdup(image->id);
}

bool *
prune_choose(const GPtrArray *images, const bool *is_kept, const PruneRule *rule)
{
    bool *is_chosen = g_new0(bool, MAX(images->len, 1));
    uint64_t total = 0;

    for (guint i = 0; i < images->len; i++)
        total += ((const CacheImage *)g_ptr_array_index(images, i))->disk_bytes;
    for (guint i = 0; i < images->len; i++) {
        const CacheImage *image = g_ptr_array_index(images, i);
        bool is_old = rule->max_age >= 0 && rule->now - image->last_used > rule->max_age;
        bool is_too_much = rule->max_bytes > 0 && total > rule->max_bytes;

        is_chosen[i] = (is_old || is_too_much) && !is_kept[i] && image->users == NULL;
        total -= is_chosen[i] ? image->disk_bytes : 0;
    }
    return is_chosen;
}
