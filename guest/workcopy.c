// SPDX-License-Identifier: Apache-2.0
#include "guest/workcopy.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#define XATTR_MAX_BYTES (64u << 10) /* XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux */

/* qemu's image locks: one byte for each permission in use, and one for each that is not shared (block/file-posix.c). */
#define QEMU_UNSHARED_WRITE 201
#define QEMU_UNSHARED_RESIZE 203

void
work_copy_clear(WorkCopy *work)
{
    if (work->fd >= 0)
        unlink(work->path);
    fd_close(fd_steal(&work->fd));
    fd_close(fd_steal(&work->original));
    g_clear_pointer(&work->target, g_free);
    g_clear_pointer(&work->path, g_free);
}

static bool
is_open_elsewhere(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Nobody starts a VM on the file, only for the copy to take its name under the running one. */
static bool
keep_writers_off(int fd)
{
    static const off_t BYTES[] = {QEMU_UNSHARED_WRITE, QEMU_UNSHARED_RESIZE};

    for (unsigned i = 0; i < G_N_ELEMENTS(BYTES); i++) {
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = BYTES[i], .l_len = 1};

        if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
            return false;
    }
    return true;
}

/* The path of the file itself, so that a symbolic link stays one. */
static bool
open_original(WorkCopy *work, GError **error)
{
    g_autofree char *real = realpath(work->name, NULL); /* g_free() is free() */

    if (real == NULL)
        return error_set_errno(error, "%s", work->name);
    work->original =
        open(real, (work->mode == WORK_IN_PLACE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (work->original < 0 || fstat(work->original, &work->before) < 0)
        return error_set_errno(error, "%s", work->name);
    work->target = g_steal_pointer(&real);
    work->path = g_strdup(work->target);
    if (!S_ISREG(work->before.st_mode) && !S_ISBLK(work->before.st_mode))
        return error_set(error, "%s: is neither a file nor a block device", work->name);
    return true;
}

static bool
lock_original(WorkCopy *work, GError **error)
{
    if (work->mode == WORK_READ_ONLY)
        return true;
    if (flock(work->original, LOCK_EX | LOCK_NB) < 0)
        return error_set_code(
            error, BASE_ERROR_EXISTS,
            "%s: another virt-depot works on it, VMs are being made of it, or it was given twice",
            work->name);
    if (!file_is_still_named(work->original, work->target))
        return error_set(error, "%s: was replaced just now; try again", work->name);
    if (is_open_elsewhere(work->original) || (work->mode == WORK_COPY && !keep_writers_off(work->original)))
        return error_set_code(
            error, BASE_ERROR_EXISTS,
            "%s: a running program has it open: shut the VM down first, and those whose base it is",
            work->name);
    return true;
}

static bool
check_format(WorkCopy *work, const char *format, GError **error)
{
    g_auto(DiskInfo) info = {0};
    DiskFormat wanted;
    bool is_stated = format != NULL && strcmp(format, "auto") != 0;

    if (is_stated && !disk_format_parse(format, &wanted))
        return error_set_code(error, BASE_ERROR_USAGE, "--format: '%s' is none of raw, qcow2 and auto",
                              format);
    if (!disk_probe(work->original, work->name, &info, error))
        return false;
    if (is_stated && info.format != wanted)
        return error_set(error, "%s: is in %s format, not %s", work->name, disk_format_name(info.format),
                         disk_format_name(wanted));
    if (info.has_data_file && work->mode == WORK_COPY)
        return error_set(error, "%s: keeps its data in another file; convert it first (qemu-img convert)",
                         work->name);
    work->format = info.format;
    work->virtual_size = info.virtual_size;
    return true;
}

/* What a copy that takes the file's name would break. */
static bool
check_replaceable(const WorkCopy *work, GError **error)
{
    if (S_ISBLK(work->before.st_mode))
        return error_set(error, "%s: is a block device, which has no copy beside it: say --in-place",
                         work->name);
    if (work->before.st_nlink > 1)
        return error_set(error, "%s: the file has more than one name: say --in-place, or copy it first",
                         work->name);
    return true;
}

static bool
check_writable(const WorkCopy *work, GError **error)
{
    if (S_ISREG(work->before.st_mode) && (work->before.st_mode & 0222) == 0)
        return error_set(error, "%s: is write-protected, as the base of linked clones is: copy it first",
                         work->name);
    if (access(work->target, W_OK) < 0)
        return error_set_errno(error, "%s: cannot be written", work->name);
    return true;
}

static bool
copy(WorkCopy *work, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(work->target);
    g_autofree char *path = NULL;
    g_autoptr(Progress) progress = NULL;
    DiskCopyKind kind;

    work->fd = file_open_temporary(dir, &path, error);
    if (work->fd < 0) {
        g_prefix_error(error, "%s: ", work->name);
        return false;
    }
    g_free(work->path);
    work->path = g_steal_pointer(&path);
    progress = progress_new("copy", (uint64_t)work->before.st_size);
    return disk_copy(work->original, work->name, work->fd, work->path, progress, &kind, error);
}

bool
work_copy_open(const char *name, const char *format, WorkMode mode, WorkCopy *out_work, GError **error)
{
    g_auto(WorkCopy) work = WORK_COPY_NONE;

    work.mode = mode;
    work.name = name;
    if (!open_original(&work, error) || !lock_original(&work, error) || !check_format(&work, format, error))
        return false;
    if (mode != WORK_READ_ONLY && !check_writable(&work, error))
        return false;
    if (mode == WORK_COPY && !(check_replaceable(&work, error) && copy(&work, error)))
        return false;
    *out_work = work;
    work = (WorkCopy)WORK_COPY_NONE;
    return true;
}

/* What only root can set, a file of somebody else has lost anyway; what the owner can set has to stay. */
static bool
copy_xattr(const WorkCopy *work, const char *name, char *value, GError **error)
{
    ssize_t size = fgetxattr(work->original, name, value, XATTR_MAX_BYTES);
    bool is_owners = g_str_has_prefix(name, "user.") || g_str_has_prefix(name, "system.posix_acl");

    if (size >= 0 && fsetxattr(work->fd, name, value, (size_t)size, 0) == 0)
        return true;
    return !is_owners || error_set_errno(error, "%s: cannot keep its attribute %s", work->name, name);
}

static bool
copy_xattrs(const WorkCopy *work, GError **error)
{
    g_autofree char *names = g_malloc(XATTR_MAX_BYTES), *value = g_malloc(XATTR_MAX_BYTES);
    ssize_t size = flistxattr(work->original, names, XATTR_MAX_BYTES);

    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1)
        if (!copy_xattr(work, names + at, value, error))
            return false;
    return size >= 0 || errno == ENOTSUP ||
           error_set_errno(error, "%s: cannot read its attributes", work->name);
}

static bool
copy_attributes(const WorkCopy *work, GError **error)
{
    struct stat made;

    if (fstat(work->fd, &made) < 0 ||
        ((made.st_uid != work->before.st_uid || made.st_gid != work->before.st_gid) &&
         fchown(work->fd, work->before.st_uid, work->before.st_gid) < 0))
        return error_set_errno(error, "%s: a copy cannot have the same owner: say --in-place", work->name);
    return (fchmod(work->fd, work->before.st_mode & 07777) == 0 ||
            error_set_errno(error, "%s: cannot keep its mode", work->name)) &&
           copy_xattrs(work, error);
}

static bool
is_unchanged(const WorkCopy *work)
{
    struct stat now;

    return file_is_still_named(work->original, work->target) && fstat(work->original, &now) == 0 &&
           now.st_size == work->before.st_size && now.st_mtim.tv_sec == work->before.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == work->before.st_mtim.tv_nsec;
}

bool
work_copy_publish(WorkCopy *work, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(work->target);

    if (work->mode != WORK_COPY)
        return true;
    if (!copy_attributes(work, error))
        return false;
    if (!is_unchanged(work))
        return error_set(error, "%s: was changed or replaced meanwhile; it stays as it is", work->name);
    if (fsync(work->fd) < 0 || rename(work->path, work->target) < 0)
        return error_set_errno(error, "%s: cannot be replaced", work->name);
    fd_close(fd_steal(&work->fd)); /* it is no copy any more */
    return file_sync_dir(dir, error);
}
