// SPDX-License-Identifier: Apache-2.0
/*
 * Generations of a folder repository: gen/N/ with the signed texts of version N, and the link "current",
 * whose replacement by rename is the one moment at which readers see a new version. The texts' names at the
 * top are links through "current", made once.
 */
#include "base/file.h"
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_ATTEMPTS 8 /* a reader that is overtaken by a publisher and a prune starts again */

void
store_text_clear(StoreText *text)
{
    g_clear_pointer(&text->content, g_bytes_unref);
}

static bool
parse_number(const char *text, uint64_t *out_number)
{
    return text[0] != '0' && g_ascii_isdigit(text[0]) &&
           g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT64, out_number, NULL);
}

/* read_current: the number behind the link "current"; 0 where there is none yet. */
static bool
read_current(const Store *store, uint64_t *out_version, GError **error)
{
    g_autofree char *path = store_path(store, STORE_CURRENT);
    char target[64];
    ssize_t length = readlink(path, target, sizeof target - 1);

    *out_version = 0;
    if (length < 0 && errno == ENOENT)
        return true;
    if (length < 0)
        return error_set_errno(error, "%s", path);
    target[length] = '\0';
    if (!g_str_has_prefix(target, STORE_GENERATIONS "/") ||
        !parse_number(target + strlen(STORE_GENERATIONS "/"), out_version))
        return error_set(error, "%s: points to '%s', which is no generation", path, target);
    return true;
}

static bool
write_texts(const char *dir, const StoreText *texts, size_t n_texts, GError **error)
{
    for (size_t i = 0; i < n_texts; i++) {
        g_autofree char *path = g_build_filename(dir, texts[i].name, NULL);
        gsize size;
        const void *data = g_bytes_get_data(texts[i].content, &size);

        if (!store_write_file(path, data, size, 0644, error))
            return false;
    }
    if (chmod(dir, 0755) < 0)
        return error_set_errno(error, "%s: cannot change the mode", dir);
    return file_sync_dir(dir, error);
}

/* write_generation: gen/N, complete from the moment it has that name. */
static bool
write_generation(Store *store, const char *final, const StoreText *texts, size_t n_texts,
                 const StoreLink *links, size_t n_links, GError **error)
{
    g_autofree char *temp = store_path(store, STORE_TEMP_PREFIX "gen-XXXXXX");
    g_autofree char *parent = store_path(store, STORE_GENERATIONS);

    if (g_mkdtemp_full(temp, 0700) == NULL)
        return error_set_errno(error, "%s: cannot make a temporary folder", store->dir);
    if (!store_links_write(temp, links, n_links, error) || !write_texts(temp, texts, n_texts, error) ||
        !file_make_dirs(parent, 0755, error) ||
        !file_remove_tree(final, error)) { /* a killed run's, never switched to */
        file_remove_tree(temp, NULL);
        return false;
    }
    if (rename(temp, final) < 0) {
        error_set_errno(error, "%s: cannot write", final);
        file_remove_tree(temp, NULL);
        return false;
    }
    return file_sync_dir(parent, error);
}

bool
store_replace_link(Store *store, const char *name, const char *target, GError **error)
{
    g_autofree char *temp = g_strconcat(store->dir, "/" STORE_TEMP_PREFIX, name, NULL);
    g_autofree char *path = store_path(store, name);

    if (symlink(target, temp) < 0 || rename(temp, path) < 0)
        return error_set_errno(error, "%s: cannot make it point to %s", path, target);
    return true;
}

static bool
is_link_to(const Store *store, const char *name, const char *target)
{
    g_autofree char *path = store_path(store, name);
    g_autofree char *found = g_file_read_link(path, NULL);

    return g_strcmp0(found, target) == 0;
}

bool
store_make_link(Store *store, const char *name, GError **error)
{
    g_autofree char *target = g_build_filename(STORE_CURRENT, name, NULL);

    return is_link_to(store, name, target) || store_replace_link(store, name, target, error);
}

static bool
make_links(Store *store, const StoreText *texts, size_t n_texts, const StoreLink *links, size_t n_links,
           GError **error)
{
    for (size_t i = 0; i < n_texts; i++) {
        if (!store_make_link(store, texts[i].name, error))
            return false;
    }
    for (size_t i = 0; i < n_links; i++) {
        g_autofree char *top = g_strndup(links[i].name, strcspn(links[i].name, "/"));

        if (!store_make_link(store, top, error))
            return false;
    }
    return true;
}

bool
store_check_links(Store *store, bool fix, GPtrArray **out_broken, GError **error)
{
    g_autofree char *current = store_path(store, STORE_CURRENT);
    g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(current, 0, error);
    const char *name;

    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *target = g_build_filename(STORE_CURRENT, name, NULL);

        if (is_link_to(store, name, target))
            continue;
        g_ptr_array_add(broken, g_strdup(name));
        if (fix && !store_make_link(store, name, error))
            return false;
    }
    *out_broken = g_steal_pointer(&broken);
    return !fix || file_sync_dir(store->dir, error);
}

static bool
switch_to(Store *store, const char *target, GError **error)
{
    return store_replace_link(store, STORE_CURRENT, target, error) && file_sync_dir(store->dir, error);
}

static int
compare_generations(const void *a, const void *b)
{
    uint64_t first = ((const StoreGeneration *)a)->version, second = ((const StoreGeneration *)b)->version;

    return (first > second) - (first < second);
}

GArray *
store_list_generations(Store *store, GError **error)
{
    g_autofree char *parent = store_path(store, STORE_GENERATIONS);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(StoreGeneration));
    g_autoptr(GDir) dir = NULL;
    const char *name;
    uint64_t current;

    if (!read_current(store, &current, error))
        return NULL;
    dir = g_dir_open(parent, 0, error);
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(parent, name, NULL);
        StoreGeneration generation;
        struct stat status;

        /* One above the current was never switched to; one that is gone was removed under our hands. */
        if (parse_number(name, &generation.version) && generation.version <= current &&
            lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
            generation.written = status.st_mtim.tv_sec;
            g_array_append_val(found, generation);
        }
    }
    g_array_sort(found, compare_generations);
    return dir != NULL ? g_steal_pointer(&found) : NULL;
}

bool
store_remove_generation(Store *store, uint64_t version, GError **error)
{
    g_autofree char *path =
        g_strdup_printf("%s/" STORE_GENERATIONS "/%" G_GUINT64_FORMAT, store->dir, version);
    g_autofree char *temp = store_path(store, STORE_TEMP_PREFIX "old");
    uint64_t current;

    g_assert(store->lock >= 0);
    if (!read_current(store, &current, error))
        return false;
    if (version == current)
        return error_set(error, "%s: is the current version", path);
    if (rename(path, temp) < 0) /* a generation is there whole or not at all */
        return error_set_errno(error, "%s: cannot remove", path);
    return file_remove_tree(temp, error);
}

bool
store_publish_links(Store *store, uint64_t version, const StoreText *texts, size_t n_texts,
                    const StoreLink *links, size_t n_links, GError **error)
{
    g_autofree char *target = g_strdup_printf(STORE_GENERATIONS "/%" G_GUINT64_FORMAT, version);
    g_autofree char *final = store_path(store, target);
    uint64_t current;

    g_assert(store->lock >= 0);
    if (!read_current(store, &current, error))
        return false;
    if (version <= current)
        return error_set(error, "%s: version %" G_GUINT64_FORMAT " cannot follow version %" G_GUINT64_FORMAT,
                         store->dir, version, current);
    return write_generation(store, final, texts, n_texts, links, n_links, error) &&
           make_links(store, texts, n_texts, links, n_links, error) && switch_to(store, target, error);
}

bool
store_publish(Store *store, uint64_t version, const StoreText *texts, size_t n_texts, GError **error)
{
    return store_publish_links(store, version, texts, n_texts, NULL, 0, error);
}

static GBytes *
read_at(int dir_fd, const char *dir, const char *name, size_t max_bytes, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_auto(Fd) fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    g_autofree char *data = NULL;
    uint64_t size;

    if (fd < 0) {
        error_set_errno(error, "%s", path);
        return NULL;
    }
    if (!fd_size(fd, path, &size, error))
        return NULL;
    if (size > max_bytes) {
        error_set(error, "%s: larger than %zu bytes", path, max_bytes);
        return NULL;
    }
    data = g_malloc((gsize)size);
    if (!fd_pread_exact(fd, data, (size_t)size, 0, path, error))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&data), (gsize)size);
}

/* read_once: through one descriptor of the generation's folder, so that a switch in between changes nothing.
 */
static bool
read_once(Store *store, uint64_t version, StoreText *texts, size_t n_texts, size_t max_bytes, GError **error)
{
    g_autofree char *dir =
        g_strdup_printf("%s/" STORE_GENERATIONS "/%" G_GUINT64_FORMAT, store->dir, version);
    g_auto(Fd) fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(error, "%s", dir);
    for (size_t i = 0; i < n_texts; i++) {
        store_text_clear(&texts[i]);
        texts[i].content = read_at(fd, dir, texts[i].name, max_bytes, error);
        if (texts[i].content == NULL)
            return false;
    }
    return true;
}

bool
store_read_generation(Store *store, uint64_t version, StoreText *texts, size_t n_texts, size_t max_bytes,
                      GError **error)
{
    return read_once(store, version, texts, n_texts, max_bytes, error);
}

bool
store_read_texts(Store *store, StoreText *texts, size_t n_texts, size_t max_bytes, uint64_t *out_version,
                 GError **error)
{
    for (int i = 0; i < READ_ATTEMPTS; i++) {
        g_autoptr(GError) local = NULL;
        uint64_t before, after;

        if (!read_current(store, &before, error))
            return false;
        if (read_once(store, before, texts, n_texts, max_bytes, &local)) {
            if (out_version != NULL)
                *out_version = before;
            return true;
        }
        /* Pruned under our hands only if there is a newer one by now. */
        if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND) || !read_current(store, &after, NULL) ||
            after == before) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
    }
    return error_set(error, "%s: changes faster than it can be read", store->dir);
}
