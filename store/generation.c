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

#define READ_ATTEMPTS 8 /* a reader that is overtaken by more publishers than are kept starts again */

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
write_generation(Store *store, const char *final, const StoreText *texts, size_t n_texts, GError **error)
{
    g_autofree char *temp = store_path(store, STORE_TEMP_PREFIX "gen-XXXXXX");
    g_autofree char *parent = store_path(store, STORE_GENERATIONS);

    if (g_mkdtemp_full(temp, 0700) == NULL)
        return error_set_errno(error, "%s: cannot make a temporary folder", store->dir);
    if (!write_texts(temp, texts, n_texts, error) || !file_make_dirs(parent, 0755, error) ||
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

static bool
make_links(Store *store, const StoreText *texts, size_t n_texts, GError **error)
{
    for (size_t i = 0; i < n_texts; i++) {
        g_autofree char *path = store_path(store, texts[i].name);
        g_autofree char *target = g_build_filename(STORE_CURRENT, texts[i].name, NULL);

        if (symlink(target, path) < 0 && errno != EEXIST)
            return error_set_errno(error, "%s: cannot make the link", path);
    }
    return true;
}

static bool
switch_to(Store *store, const char *target, GError **error)
{
    g_autofree char *temp = store_path(store, STORE_TEMP_PREFIX "current");
    g_autofree char *current = store_path(store, STORE_CURRENT);

    if (symlink(target, temp) < 0 || rename(temp, current) < 0)
        return error_set_errno(error, "%s: cannot switch to %s", current, target);
    return file_sync_dir(store->dir, error);
}

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

/* prune: all but the newest generations. What cannot be removed now is removed by a later publisher. */
static void
prune(Store *store)
{
    g_autofree char *parent = store_path(store, STORE_GENERATIONS);
    g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        uint64_t number;

        if (parse_number(name, &number))
            g_array_append_val(numbers, number);
    }
    g_array_sort(numbers, compare_numbers);
    for (guint i = 0; i + STORE_KEEP_GENERATIONS < numbers->len; i++) {
        g_autofree char *path =
            g_strdup_printf("%s/%" G_GUINT64_FORMAT, parent, g_array_index(numbers, uint64_t, i));

        file_remove_tree(path, NULL);
    }
}

bool
store_publish(Store *store, uint64_t version, const StoreText *texts, size_t n_texts, GError **error)
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
    if (!write_generation(store, final, texts, n_texts, error) || !make_links(store, texts, n_texts, error) ||
        !switch_to(store, target, error))
        return false;
    prune(store);
    return true;
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
read_once(Store *store, StoreText *texts, size_t n_texts, size_t max_bytes, uint64_t *out_version,
          GError **error)
{
    g_autofree char *dir = NULL;
    g_auto(Fd) fd = -1;
    uint64_t version;

    if (!read_current(store, &version, error))
        return false;
    dir = g_strdup_printf("%s/" STORE_GENERATIONS "/%" G_GUINT64_FORMAT, store->dir, version);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, "%s", dir);
    for (size_t i = 0; i < n_texts; i++) {
        store_text_clear(&texts[i]);
        texts[i].content = read_at(fd, dir, texts[i].name, max_bytes, error);
        if (texts[i].content == NULL)
            return false;
    }
    if (out_version != NULL)
        *out_version = version;
    return true;
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
        if (read_once(store, texts, n_texts, max_bytes, out_version, &local))
            return true;
        /* Pruned under our hands only if there is a newer one by now. */
        if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND) || !read_current(store, &after, NULL) ||
            after == before) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
    }
    return error_set(error, "%s: changes faster than it can be read", store->dir);
}
