// SPDX-License-Identifier: Apache-2.0
/* Asks the kernel as qemu's user: better now than as "Permission denied" from a VM that does not start. */
#include "deploy/access.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <unistd.h>

/* Become @uid for file access alone, on this thread alone; the kernel drops root's override with it. */
static int
open_as(unsigned uid, unsigned gid, const char *path, int flags)
{
    int fd, saved;

    setfsgid(gid);
    setfsuid(uid);
    fd = open(path, flags | O_CLOEXEC);
    saved = errno;
    setfsuid(geteuid());
    setfsgid(getegid());
    errno = saved;
    return fd;
}

bool
deploy_access_check(unsigned uid, unsigned gid, const char *base, const char *disk_dir, GError **error)
{
    g_autofree char *inside = g_build_filename(disk_dir, ".", NULL);
    g_auto(Fd) file = -1;
    g_auto(Fd) dir = -1;

    if (geteuid() != 0 || uid == 0)
        return true;
    dir = open_as(uid, gid, inside, O_PATH | O_DIRECTORY);
    if (dir < 0 && errno == EACCES)
        return error_set(error,
                         "%s: qemu runs as user %u, which cannot pass into this folder: chmod o+x it and its "
                         "parents, or choose another",
                         disk_dir, uid);
    file = base == NULL ? -1 : open_as(uid, gid, base, O_RDONLY);
    if (base != NULL && file < 0 && errno == EACCES)
        return error_set(
            error,
            "%s: qemu runs as user %u, which cannot read this image: chmod o+x the folders above "
            "it",
            base, uid);
    return true;
}
