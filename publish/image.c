// SPDX-License-Identifier: Apache-2.0
/* Opening an image that is to be published, with every reason to refuse it. */
#include "publish/image.h"

#include <fcntl.h>
#include <unistd.h>

/* qemu's image locks (block/file-posix.c): each permission that a user of the image holds is a shared lock on
 * byte 100 + its number; permission 1 is "write". */
#define QEMU_LOCK_WRITE 101

void
publish_image_clear(PublishImage *image)
{
    if (image->fd >= 0)
        fd_close(fd_steal(&image->fd));
    disk_info_clear(&image->info);
}

static bool
is_written_to(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_LOCK_WRITE, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool
check_content(PublishImage *image, GError **error)
{
    const char *path = image->path;

    if (!disk_probe(image->fd, path, &image->info, error))
        return false;
    if (image->info.backing_file != NULL)
        return error_set(error, "%s: needs its backing file %s; merge them first (qemu-img convert)", path,
                         image->info.backing_file);
    if (image->info.has_data_file)
        return error_set(error, "%s: keeps its data in another file; convert it first (qemu-img convert)",
                         path);
    if (image->info.virtual_size == 0)
        return error_set(error, "%s: is empty", path);
    if (is_written_to(image->fd))
        return error_set(error, "%s: a running VM writes to it; shut the VM down first", path);
    return true;
}

bool
publish_image_open(PublishImage *image, const char *path, GError **error)
{
    *image = PUBLISH_IMAGE_NONE;
    image->path = path;
    image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (image->fd < 0 || fstat(image->fd, &image->before) < 0)
        return error_set_errno(error, "%s", path);
    if (!S_ISREG(image->before.st_mode) && !S_ISBLK(image->before.st_mode))
        return error_set(error, "%s: is neither a file nor a block device", path);
    return check_content(image, error);
}

bool
publish_image_check_unchanged(const PublishImage *image, GError **error)
{
    const struct stat *before = &image->before;
    struct stat open_file, named;

    if (fstat(image->fd, &open_file) < 0 || stat(image->path, &named) < 0)
        return error_set_errno(error, "%s", image->path);
    if (open_file.st_size != before->st_size || open_file.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        open_file.st_mtim.tv_nsec != before->st_mtim.tv_nsec || named.st_dev != before->st_dev ||
        named.st_ino != before->st_ino || is_written_to(image->fd))
        return error_set(error, "%s: was changed while it was read; nothing is published", image->path);
    return true;
}
