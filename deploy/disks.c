// SPDX-License-Identifier: Apache-2.0
/* The disk files of new VMs: overlays, copies, and putting them into place. */
#include "deploy/disks.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool
deploy_disks_open_base(const char *path, DiskFormat format, DiskBase *out_base, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC);
    g_auto(DiskInfo) info = {0};
    struct stat status;

    if (fd < 0)
        return error_set_errno(error, "%s", path);
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return error_set_errno(error, "%s: is being removed or replaced", path);
    /* Who removed it held the lock until now: a clone would have a base that nobody can open any more. */
    if (fstat(fd, &status) < 0)
        return error_set_errno(error, "%s", path);
    if (status.st_nlink == 0)
        return error_set_code(error, BASE_ERROR_NOT_FOUND,
                              "%s: was removed from the cache just now; try again", path);
    if (!disk_probe(fd, path, &info, error))
        return false;
    if (info.format != format)
        return error_set(error, "%s: is %s, but the index says %s", path, disk_format_name(info.format),
                         disk_format_name(format));
    /* Else a published image could make qemu read any file of this host. */
    if (info.backing_file != NULL || info.has_data_file)
        return error_set(error, "%s: refers to another file; only self-contained images are deployed", path);
    *out_base = (DiskBase){fd_steal(&fd), path, format, info.virtual_size};
    return true;
}

DiskFormat
deploy_disks_format(DeployMode mode)
{
    return mode == DEPLOY_LINKED ? DISK_QCOW2 : DISK_RAW;
}

static bool
convert(const DiskBase *base, const char *path, GError **error)
{
    const char *argv[] = {"qemu-img", "convert", "-f", disk_format_name(base->format), "-O", "raw", "--",
                          base->path, path,      NULL};
    g_autofree char *message = NULL;
    int status = 0;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                      NULL, &message, &status, error))
        return false;
    if (!interrupt_check(error))
        return false;
    if (!g_spawn_check_wait_status(status, NULL))
        return error_set(error, "%s: qemu-img convert failed: %s", base->path, g_strstrip(message));
    if (chmod(path, 0600) < 0)
        return error_set_errno(error, "%s", path);
    return true;
}

static bool
copy(const DiskBase *base, const char *path, Progress *progress, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    DiskCopyKind kind;

    if (fd < 0)
        return error_set_errno(error, "%s: cannot create", path);
    return disk_copy(base->fd, base->path, fd, path, progress, &kind, error);
}

bool
deploy_disks_make(const DiskBase *base, DeployMode mode, const char *path, uint64_t size, Progress *progress,
                  GError **error)
{
    if (mode == DEPLOY_LINKED)
        return disk_overlay_create(path, base->path, base->format, size, error);
    if (!(base->format == DISK_RAW ? copy(base, path, progress, error) : convert(base, path, error)))
        return false;
    if (truncate(path, (off_t)size) < 0)
        return error_set_errno(error, "%s: cannot set its size", path);
    return true;
}

bool
deploy_disks_move(const char *from, const char *to, GError **error)
{
    return file_rename_new(from, to, error);
}
