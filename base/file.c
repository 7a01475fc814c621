// SPDX-License-Identifier: Apache-2.0
/* Files by path: atomic writes, trees, locks, opening beneath a folder. */
#include "base/file.h"

#include "base/interrupt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEMPORARY_PREFIX ".new-"

bool
file_make_dirs(const char *path, mode_t mode, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);

    /* A private leaf must not lock everybody out of the folders that it shares with others. */
    if (g_mkdir_with_parents(parent, 0755) < 0 || g_mkdir_with_parents(path, (int)mode) < 0)
        return error_set_errno(error, "%s: cannot make the folder", path);
    return true;
}

bool
file_sync_dir(const char *path, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(error, "%s", path);
    if (fsync(fd) < 0)
        return error_set_errno(error, "%s: cannot sync", path);
    return true;
}

/* Whoever held the lock before may have removed or replaced it. */
bool
file_is_still_named(int fd, const char *path)
{
    struct stat held;
    struct stat named;

    return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

/* Temporary files that a killed writer left in @dir: nobody holds their lock. */
static void
sweep_temporaries(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;

    while (entries != NULL && (name = g_dir_read_name(entries)) != NULL) {
        if (g_str_has_prefix(name, TEMPORARY_PREFIX)) {
            g_autofree char *path = g_build_filename(dir, name, NULL);
            g_auto(Fd) fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

            if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                unlink(path);
        }
    }
}

int
file_open_temporary(const char *dir, char **out_path, GError **error)
{
    sweep_temporaries(dir);
    for (;;) {
        g_autofree char *path = g_strdup_printf("%s/" TEMPORARY_PREFIX "XXXXXX", dir);
        g_auto(Fd) fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0) {
            error_set_errno(error, "%s: cannot make a temporary file in it", dir);
            return -1;
        }
        /* Between the two calls another writer may have swept it: then take another one. */
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && file_is_still_named(fd, path)) {
            *out_path = g_steal_pointer(&path);
            return fd_steal(&fd);
        }
    }
}

static bool
fill_and_rename(int fd, const char *temp, const char *path, const void *data, size_t size, mode_t mode,
                GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);

    if (!fd_write_all(fd, data, size, path, error))
        return false;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0)
        return error_set_errno(error, "%s: cannot write", path);
    return file_sync_dir(dir, error);
}

bool
file_write_atomic(const char *path, const void *data, size_t size, mode_t mode, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *temp = NULL;
    g_auto(Fd) fd = -1;

    fd = file_open_temporary(dir, &temp, NULL);
    if (fd < 0)
        return error_set_errno(error, "%s: cannot write", path);
    if (!fill_and_rename(fd, temp, path, data, size, mode, error)) {
        unlink(temp);
        return false;
    }
    return true;
}

GBytes *
file_read(const char *path, size_t max_bytes, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    g_autofree char *data = NULL;
    uint64_t size;
    ssize_t n;

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
    data = g_malloc((gsize)size + 1);
    n = fd_pread(fd, data, (size_t)size, 0, path, error);
    if (n < 0)
        return NULL;
    data[n] = '\0'; /* not counted; makes text files safe to print */
    return g_bytes_new_take(g_steal_pointer(&data), (gsize)n);
}

bool
file_remove(const char *path, GError **error)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(error, "%s: cannot remove", path);
    return true;
}

static int
rename_new(const char *from, const char *to)
{
    struct stat status;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (link(from, to) == 0)
        return unlink(from);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    if (lstat(to, &status) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

bool
file_rename_new(const char *from, const char *to, GError **error)
{
    if (rename_new(from, to) < 0)
        return error_set_errno(error, "%s: cannot be put into place", to);
    return true;
}

/* Sealed images carry the immutable flag; only files that are ours to remove come here. */
static void
clear_immutable(int dir_fd, const char *name)
{
    g_auto(Fd) fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int flags;

    if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL) != 0) {
        flags &= ~FS_IMMUTABLE_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}

static bool
remove_at(int dir_fd, const char *name, const char *path, GError **error)
{
    g_auto(Fd) fd = -1;
    DIR *dir;
    struct dirent *item;
    bool is_ok = true;

    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno == EPERM) {
        clear_immutable(dir_fd, name);
        if (unlinkat(dir_fd, name, 0) == 0)
            return true;
    }
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (dir = fdopendir(fd)) == NULL)
        return error_set_errno(error, "%s: cannot remove", path);
    fd_steal(&fd);
    while (is_ok && (item = readdir(dir)) != NULL) {
        g_autofree char *child = g_build_filename(path, item->d_name, NULL);

        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            is_ok = remove_at(dirfd(dir), item->d_name, child, error);
    }
    closedir(dir);
    if (is_ok && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set_errno(error, "%s: cannot remove", path);
    return is_ok;
}

bool
file_remove_tree(const char *path, GError **error)
{
    return remove_at(AT_FDCWD, path, path, error);
}

int
file_open_beneath(int dir_fd, const char *relative, int flags, GError **error)
{
    struct open_how how = {
        .flags = (guint64)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) != 0 ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd;

    /* EAGAIN: a rename happened during the walk and the kernel cannot prove that we stayed inside. */
    do
        fd = (int)syscall(SYS_openat2, dir_fd, relative, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0)
        error_set_errno(error, "%s", relative);
    return fd;
}

int
file_lock(const char *path, bool wait, GError **error)
{
    for (;;) {
        g_auto(Fd) fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0) {
            error_set_errno(error, "%s: cannot open the lock", path);
            return -1;
        }
        while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
            if (errno == EINTR) { /* Ctrl-C ends the wait, anything else does not */
                if (interrupt_check(error))
                    continue;
                return -1;
            }
            if (errno == EWOULDBLOCK)
                error_set_code(error, BASE_ERROR_EXISTS, "%s: held by another process", path);
            else
                error_set_errno(error, "%s: cannot lock", path);
            return -1;
        }
        /* The holder before us may have unlinked the file: a lock on a nameless inode excludes nobody. */
        if (file_is_still_named(fd, path))
            return fd_steal(&fd);
    }
}

bool
file_is_name(const char *name)
{
    return name != NULL && name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}
