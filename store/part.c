// SPDX-License-Identifier: Apache-2.0
/* Parts of blobs that are uploaded over several connections. How much of one is there is its size; nothing else is kept. */
#include "base/digest.h"
#include "base/file.h"
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTS STORE_PRIVATE "/uploads"
#define SUFFIX ".part"

char *
store_part_path(const char *sha512)
{
    g_assert(digest_is_hex(DIGEST_SHA512, sha512));
    return g_strdup_printf(PARTS "/%s" SUFFIX, sha512);
}

/* is_named: whether @fd is still what @path names. Between open and flock it may have been finished or swept. */
static bool
is_named(int fd, const char *path)
{
    struct stat opened, named;

    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

bool
store_part_open(Store *store, const char *sha512, StoreUpload *out_part, GError **error)
{
    g_autofree char *relative = store_part_path(sha512);
    g_autofree char *path = store_path(store, relative);
    g_autofree char *parent = store_path(store, PARTS);

    if (!file_make_dirs(parent, 0700, error))
        return false;
    for (;;) {
        g_auto(Fd) fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

        if (fd < 0)
            return error_set_errno(error, "%s: cannot write", path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno == EWOULDBLOCK)
                return error_set_code(error, BASE_ERROR_EXISTS, "%s: is being uploaded already", path);
            return error_set_errno(error, "%s: cannot lock", path);
        }
        if (is_named(fd, path)) {
            *out_part = (StoreUpload){g_steal_pointer(&path), fd_steal(&fd)};
            return true;
        }
    }
}

void
store_part_close(StoreUpload *part)
{
    g_clear_pointer(&part->path, g_free);
    if (part->fd >= 0)
        fd_close(fd_steal(&part->fd));
}

/* sweep_one: one that is being written is locked, and stays. */
static void
sweep_one(const char *path, int64_t before, uint64_t *bytes)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return;
    if (status.st_mtim.tv_sec >= before || flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_named(fd, path) ||
        unlink(path) < 0)
        *bytes += (uint64_t)status.st_size;
}

bool
store_part_sweep(Store *store, int64_t before, uint64_t *out_bytes, GError **error)
{
    g_autofree char *parent = store_path(store, PARTS);
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) dir = g_dir_open(parent, 0, &local);
    uint64_t bytes = 0;
    const char *name;

    if (dir == NULL && !g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(parent, name, NULL);

        if (g_str_has_suffix(name, SUFFIX))
            sweep_one(path, before, &bytes);
    }
    if (out_bytes != NULL)
        *out_bytes = bytes;
    return true;
}
