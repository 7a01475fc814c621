// SPDX-License-Identifier: Apache-2.0
/*
 * A repository in a folder: opening and making it, its lock, the publisher's private notes, and the removal
 * of what killed runs left. Uploads are in upload.c, generations in generation.c. Everything unfinished has a
 * name that starts with a dot: no server shows those.
 */
#include "store/dir.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME ".lock"

static bool
is_folder(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

static Store *
store_new(const char *location)
{
    Store *store = g_new0(Store, 1);

    store->dir = g_canonicalize_filename(location, NULL);
    store->lock = -1;
    return store;
}

void
store_free(Store *store)
{
    if (store == NULL)
        return;
    store_unlock(store);
    g_free(store->dir);
    g_free(store);
}

char *
store_path(const Store *store, const char *relative)
{
    return g_build_filename(store->dir, relative, NULL);
}

static bool
has_current(const Store *store)
{
    g_autofree char *current = store_path(store, STORE_CURRENT);

    return g_file_test(current, G_FILE_TEST_IS_SYMLINK);
}

Store *
store_open(const char *location, GError **error)
{
    g_autoptr(Store) store = store_new(location);

    if (is_folder(store->dir) && has_current(store))
        return g_steal_pointer(&store);
    if (access(store->dir, X_OK) < 0 && errno != ENOENT)
        error_set_errno(error, "%s", store->dir);
    else
        error_set_code(error, BASE_ERROR_NOT_FOUND,
                       "%s: no repository there; 'virt-depot repo init' makes one", store->dir);
    return NULL;
}

/* check_vacant: a folder that is empty, or holds nothing but what an unfinished store_create() made. */
static bool
check_vacant(const Store *store, GError **error)
{
    g_autofree char *private_dir = store_path(store, STORE_PRIVATE);
    g_autoptr(GDir) dir = NULL;
    const char *name;

    if (has_current(store))
        return error_set_code(error, BASE_ERROR_EXISTS, "%s: is a repository already", store->dir);
    if (is_folder(private_dir))
        return true;
    dir = g_dir_open(store->dir, 0, error);
    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (!g_str_equal(name, LOCK_NAME) && !g_str_has_prefix(name, STORE_TEMP_PREFIX) &&
            !g_str_equal(name, "lost+found"))
            return error_set_code(
                error, BASE_ERROR_EXISTS,
                "%s: the folder is not empty (it holds '%s'); a repository needs one of its own", store->dir,
                name);
    }
    return true;
}

Store *
store_create(const char *location, GError **error)
{
    g_autoptr(Store) store = store_new(location);
    g_autofree char *private_dir = store_path(store, STORE_PRIVATE);

    /* Looked at twice: before anything is made in somebody's folder, and again when nobody else can change
     * it. */
    if (!file_make_dirs(store->dir, 0755, error) || !check_vacant(store, error) ||
        !store_lock(store, false, error) || !check_vacant(store, error))
        return NULL;
    if (!file_make_dirs(private_dir, 0700, error) || !file_sync_dir(store->dir, error))
        return NULL;
    return g_steal_pointer(&store);
}

Store *
store_open_target(const char *location, GError **error)
{
    g_autoptr(Store) store = store_new(location);
    g_autofree char *private_dir = store_path(store, STORE_PRIVATE);

    if (has_current(store))
        return g_steal_pointer(&store);
    if (!check_vacant(store, error))
        return NULL;
    return file_make_dirs(private_dir, 0700, error) ? g_steal_pointer(&store) : NULL;
}

bool
store_has_version(const Store *store)
{
    return has_current(store);
}

const char *
store_location(const Store *store)
{
    return store->dir;
}

/* is_live_upload: uploads are made without the repository's lock, so each carries a lock of its own. */
static bool
is_live_upload(const char *path, const char *name)
{
    g_auto(Fd) fd = -1;

    if (!g_str_has_prefix(name, STORE_UPLOAD_PREFIX))
        return false;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static bool
remove_abandoned(const Store *store, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(store->dir, 0, error);
    const char *name;

    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = store_path(store, name);

        if (g_str_has_prefix(name, STORE_TEMP_PREFIX) && !is_live_upload(path, name) &&
            !file_remove_tree(path, error))
            return false;
    }
    return true;
}

bool
store_lock(Store *store, bool wait, GError **error)
{
    g_autofree char *path = store_path(store, LOCK_NAME);
    g_autoptr(GError) local = NULL;

    g_assert(store->lock < 0);
    store->lock = file_lock(path, wait, &local);
    if (store->lock >= 0)
        return remove_abandoned(store, error);
    if (g_error_matches(local, BASE_ERROR, BASE_ERROR_EXISTS))
        return error_set_code(error, BASE_ERROR_EXISTS, "%s: another virt-depot is publishing here",
                              store->dir);
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

void
store_unlock(Store *store)
{
    if (store->lock >= 0)
        fd_close(fd_steal(&store->lock));
}

GBytes *
store_read_private(Store *store, const char *name, size_t max_bytes, GError **error)
{
    g_autofree char *path = g_build_filename(store->dir, STORE_PRIVATE, name, NULL);

    return file_read(path, max_bytes, error);
}

bool
store_write_private(Store *store, const char *name, const void *data, size_t size, GError **error)
{
    g_autofree char *path = g_build_filename(store->dir, STORE_PRIVATE, name, NULL);
    g_autofree char *temp = store_path(store, STORE_TEMP_PREFIX "private");
    g_autofree char *private_dir = store_path(store, STORE_PRIVATE);

    g_assert(store->lock >= 0);
    if (!store_write_file(temp, data, size, 0600, error))
        return false;
    if (rename(temp, path) < 0)
        return error_set_errno(error, "%s: cannot write", path);
    return file_sync_dir(private_dir, error);
}

bool
store_may_be_mirror(const Store *store)
{
    g_autofree char *path = g_build_filename(store->dir, STORE_PRIVATE, STORE_MIRROR_NOTES, NULL);

    return access(path, F_OK) == 0 || errno == EACCES;
}

bool
store_sweep_private(Store *store, const char *prefix, GHashTable *keep, GError **error)
{
    g_autofree char *folder = store_path(store, STORE_PRIVATE);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert(store->lock >= 0);
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (g_str_has_prefix(name, prefix) && !g_hash_table_contains(keep, name) && !file_remove(path, error))
            return false;
    }
    return true;
}

bool
store_write_file(const char *path, const void *data, size_t size, mode_t mode, GError **error)
{
    g_auto(Fd) fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        return error_set_errno(error, "%s: cannot write", path);
    if (!fd_write_all(fd, data, size, path, error))
        return false;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return error_set_errno(error, "%s: cannot write", path);
    return true;
}
