// SPDX-License-Identifier: Apache-2.0
/* What --output names: whether an image may go there at all. */
#include "fetch/output.h"

#include "base/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A partition table, file system, volume or container says who it is within its first MiB. */
#define LOOK_BYTES (1u << 20)

void
fetch_output_clear(FetchOutput *output)
{
    g_clear_pointer(&output->path, g_free);
    fd_close(output->device);
    output->device = -1;
}

static bool
is_empty(int fd, const char *path, bool *out_is_empty, GError **error)
{
    g_autofree uint8_t *data = g_malloc0(LOOK_BYTES);
    ssize_t n = fd_pread(fd, data, LOOK_BYTES, 0, path, error);

    *out_is_empty = n >= 0 && (data[0] == 0 && memcmp(data, data + 1, LOOK_BYTES - 1) == 0);
    return n >= 0;
}

static bool
open_device(FetchOutput *output, GError **error)
{
    bool empty;

    if (output->has_format && output->format != DISK_RAW)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "%s: a block device takes the raw image; leave out '--format %s'", output->name,
                              disk_format_name(output->format));
    output->has_format = true;
    output->format = DISK_RAW;
    /* Without O_CREAT, O_EXCL refuses a device that is mounted or part of another one (open(2)). */
    output->device = open(output->path, O_RDWR | O_EXCL | O_CLOEXEC);
    if (output->device < 0 && errno == EBUSY)
        return error_set(
            error, "%s: the device is in use: mounted, or part of a volume; release it first (see lsblk)",
            output->name);
    if (output->device < 0)
        return error_set_errno(error, "%s: cannot open the device", output->name);
    if (!fd_size(output->device, output->name, &output->device_size, error) ||
        !is_empty(output->device, output->name, &empty, error))
        return false;
    return empty || output->may_replace ||
           error_set_code(error, BASE_ERROR_EXISTS,
                          "%s: the device is not empty; --force overwrites what is on it", output->name);
}

static bool
check_stdout(FetchOutput *output, GError **error)
{
    output->kind = FETCH_OUTPUT_STDOUT;
    output->name = "standard output";
    output->path = g_strdup("-");
    return !isatty(STDOUT_FILENO) ||
           error_set_code(error, BASE_ERROR_USAGE,
                          "standard output is a terminal; send the image to a file or a program");
}

static bool
check_existing(FetchOutput *output, const struct stat *status, GError **error)
{
    if (S_ISBLK(status->st_mode)) {
        output->kind = FETCH_OUTPUT_DEVICE;
        return open_device(output, error);
    }
    if (S_ISDIR(status->st_mode))
        return error_set(error, "%s: is a folder; name the file that the image shall become", output->name);
    if (!S_ISREG(status->st_mode))
        return error_set(error,
                         "%s: neither a regular file nor a block device; '--output -' writes to a pipe",
                         output->name);
    return output->may_replace ||
           error_set_code(error, BASE_ERROR_EXISTS, "%s: exists already; --force replaces it", output->name);
}

static bool
check_new(FetchOutput *output, GError **error)
{
    g_autofree char *folder = NULL, *leaf = g_path_get_basename(output->name), *real = NULL;
    struct stat status;

    if (lstat(output->name, &status) == 0)
        return error_set(error, "%s: is a link to something that does not exist", output->name);
    if (g_str_has_suffix(output->name, "/"))
        return error_set(error, "%s: is a folder; name the file that the image shall become", output->name);
    folder = g_path_get_dirname(output->name);
    real = realpath(folder, NULL);
    if (real == NULL)
        return error_set_errno(error, "%s: cannot be written to", folder);
    output->path = g_build_filename(real, leaf, NULL);
    return true;
}

bool
fetch_output_open(const char *path, const char *format, bool may_replace, FetchOutput *out_output,
                  GError **error)
{
    g_auto(FetchOutput) output = {.name = path, .may_replace = may_replace, .device = -1};
    mode_t mask = umask(0);
    struct stat status;

    umask(mask);
    output.mode = 0666 & ~mask;
    output.has_format = format != NULL;
    if (format != NULL && !disk_format_parse(format, &output.format))
        return error_set_code(error, BASE_ERROR_USAGE, "--format %s: raw or qcow2 is expected", format);
    if (strcmp(path, "-") == 0) {
        if (!check_stdout(&output, error))
            return false;
    } else if (stat(path, &status) == 0) {
        output.path = realpath(path, NULL);
        if (output.path == NULL)
            return error_set_errno(error, "%s", path);
        if (!check_existing(&output, &status, error))
            return false;
    } else if (errno != ENOENT) {
        return error_set_errno(error, "%s", path);
    } else if (!check_new(&output, error)) {
        return false;
    }
    *out_output = output;
    output = (FetchOutput){.device = -1};
    return true;
}
