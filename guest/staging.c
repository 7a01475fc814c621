// SPDX-License-Identifier: Apache-2.0
#include "guest/staging.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX ".virt-depot-build-"

void
staging_clear(Staging *staging)
{
    if (staging->path != NULL)
        file_remove_tree(staging->path, NULL);
    g_clear_pointer(&staging->path, g_free);
    fd_close(fd_steal(&staging->lock));
}

/* Who made a folder holds its lock. Returns: the folder, locked, or -1 */
static int
lock_folder(const char *path)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || status.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
        !file_is_still_named(fd, path))
        return -1;
    return fd_steal(&fd);
}

/* What cannot be removed is in nobody's way. */
static void
sweep(const char *dir)
{
    g_autoptr(GDir) names = g_dir_open(dir, 0, NULL);

    for (const char *name; names != NULL && (name = g_dir_read_name(names)) != NULL;) {
        g_autofree char *path = g_str_has_prefix(name, PREFIX) ? g_build_filename(dir, name, NULL) : NULL;
        g_auto(Fd) lock = path == NULL ? -1 : lock_folder(path);

        if (lock >= 0)
            file_remove_tree(path, NULL);
    }
}

bool
staging_make(const char *dir, Staging *out_staging, GError **error)
{
    sweep(dir);
    /* Between the making of a folder and its lock somebody else's sweep may take it. */
    for (unsigned tries = 0; tries < 10; tries++) {
        g_autofree char *path = g_build_filename(dir, PREFIX "XXXXXX", NULL);
        int lock;

        if (g_mkdtemp_full(path, 0700) == NULL)
            return error_set_errno(error, "%s: cannot be written to", dir);
        lock = lock_folder(path);
        if (lock >= 0) {
            *out_staging = (Staging){g_steal_pointer(&path), lock};
            return true;
        }
    }
    return error_set(error, "%s: a folder for temporary files cannot be locked there", dir);
}
