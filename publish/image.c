// SPDX-License-Identifier: Apache-2.0
/* Opening an image that is to be published, with every reason to refuse it. */
#include "publish/image.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* qemu's image locks (block/file-posix.c): each permission that a user of the image holds is a shared lock on
 * byte 100 + its number; permission 1 is "write". */
#define QEMU_LOCK_WRITE 101

void
publish_image_clear(PublishImage *image)
{
    if (image->fd >= 0)
        fd_close(fd_steal(&image->fd));
    if (image->original >= 0)
        fd_close(fd_steal(&image->original));
    store_upload_clear(&image->copy);
    disk_info_clear(&image->info);
}

bool
publish_input_parse(const char *text, PublishInput *out_input, GError **error)
{
    PublishInput input = {.is_stated = true, .foreign = DISK_FOREIGN_NONE};

    if (!disk_format_parse(text, &input.format) && !disk_foreign_parse(text, &input.foreign))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--format: '%s' is none of raw, qcow2, vmdk, vhdx, vpc and vdi", text);
    *out_input = input;
    return true;
}

static bool
is_written_to(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_LOCK_WRITE, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* What is published must be what its header says, and nothing else. */
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
    return true;
}

static int
duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Take @copy as the image's content, in place of the given file or an earlier copy. */
static bool
adopt_copy(PublishImage *image, StoreUpload *copy, GError **error)
{
    if (image->original < 0)
        image->original = fd_steal(&image->fd);
    else
        fd_close(fd_steal(&image->fd));
    store_upload_clear(&image->copy);
    image->copy = *copy;
    *copy = STORE_UPLOAD_NONE;
    image->disk = image->copy.path;
    image->fd = duplicate(image->copy.fd);
    return image->fd >= 0 || error_set_errno(error, "%s", image->path);
}

static bool
spool(PublishImage *image, Store *store, GError **error)
{
    g_auto(StoreUpload) copy = STORE_UPLOAD_NONE;
    g_autoptr(Progress) progress = NULL;

    if (isatty(image->fd))
        return error_set_code(error, BASE_ERROR_USAGE, "-: an image is expected on standard input");
    progress = progress_new("read the image", 0);
    return store_upload_begin(store, &copy, error) &&
           disk_spool(image->fd, image->path, copy.fd, store_location(store), progress, error) &&
           adopt_copy(image, &copy, error);
}

static bool
convert(PublishImage *image, DiskForeign foreign, Store *store, GError **error)
{
    g_auto(StoreUpload) copy = STORE_UPLOAD_NONE;

    return store_upload_begin(store, &copy, error) &&
           disk_convert(image->fd, image->path, disk_foreign_name(foreign), copy.fd, error) &&
           adopt_copy(image, &copy, error);
}

/* Find the format, and refuse one that is not as stated. */
static bool
find_format(PublishImage *image, const PublishInput *input, DiskForeign *out_foreign, GError **error)
{
    DiskForeign found;

    if (!disk_probe_foreign(image->fd, image->path, &found, error))
        return false;
    if (input->is_stated && input->foreign == DISK_FOREIGN_VPC && found == DISK_FOREIGN_NONE)
        found = DISK_FOREIGN_VPC; /* its signature may be at the end alone: qemu-img looks there */
    if (input->is_stated && input->foreign != found)
        return error_set(error, "%s: is not in %s format", image->path,
                         input->foreign != DISK_FOREIGN_NONE ? disk_foreign_name(input->foreign)
                                                             : disk_format_name(input->format));
    *out_foreign = found;
    return true;
}

static bool
open_file(PublishImage *image, const char *path, GError **error)
{
    bool is_stdin = strcmp(path, "-") == 0;

    image->is_stdin = is_stdin;
    image->path = is_stdin ? "standard input" : path;
    image->disk = path;
    image->fd = is_stdin ? duplicate(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (image->fd < 0 || fstat(image->fd, &image->before) < 0)
        return error_set_errno(error, "%s", image->path);
    if (!is_stdin && !S_ISREG(image->before.st_mode) && !S_ISBLK(image->before.st_mode))
        return error_set(error, "%s: is neither a file nor a block device", path);
    if (is_written_to(image->fd))
        return error_set(error, "%s: a running VM writes to it; shut the VM down first", path);
    return true;
}

bool
publish_image_open(PublishImage *image, const char *path, const PublishInput *input, Store *store,
                   GError **error)
{
    DiskForeign foreign = DISK_FOREIGN_NONE;

    *image = PUBLISH_IMAGE_NONE;
    if (!open_file(image, path, error))
        return false;
    if (image->is_stdin && !spool(image, store, error))
        return false;
    if (!find_format(image, input, &foreign, error))
        return false;
    if (foreign != DISK_FOREIGN_NONE && !convert(image, foreign, store, error))
        return false;
    if (!check_content(image, error))
        return false;
    if (foreign != DISK_FOREIGN_NONE && image->info.format != DISK_RAW)
        return error_set(error, "%s: the disk inside it starts like a qcow2 image", image->path);
    if (input->is_stated && foreign == DISK_FOREIGN_NONE && image->info.format != input->format)
        return error_set(error, "%s: is in %s format, not %s", image->path,
                         disk_format_name(image->info.format), disk_format_name(input->format));
    return true;
}

bool
publish_image_check_unchanged(const PublishImage *image, GError **error)
{
    const struct stat *before = &image->before;
    int fd = image->original >= 0 ? image->original : image->fd;
    struct stat open_file, named;

    if (image->is_stdin)
        return true;
    if (fstat(fd, &open_file) < 0 || stat(image->path, &named) < 0)
        return error_set_errno(error, "%s", image->path);
    if (open_file.st_size != before->st_size || open_file.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        open_file.st_mtim.tv_nsec != before->st_mtim.tv_nsec || named.st_dev != before->st_dev ||
        named.st_ino != before->st_ino || is_written_to(fd))
        return error_set(error, "%s: was changed while it was read; nothing is published", image->path);
    return true;
}
