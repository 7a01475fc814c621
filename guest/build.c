// SPDX-License-Identifier: Apache-2.0
/*
 * The order of a build: look at the output, find the image, write it beside the output (or onto the device), give it its size,
 * customize it in one appliance, put it into place.
 */
#include "guest/build.h"

#include "base/file.h"
#include "guest/ops.h"
#include "guest/staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR_BYTES 512u

typedef struct {
    const BuildRequest *request;
    FetchOffers *offers;
    FetchChoice choice;
    FetchOutput output;
    Staging staging;
    char *disk; /* what is worked on */
    DiskFormat format;
    uint64_t image_size, size; /* bytes */
    GPtrArray *warnings;
} Build;

static void
build_clear(Build *build)
{
    fetch_offers_free(build->offers);
    fetch_output_clear(&build->output);
    staging_clear(&build->staging);
    g_free(build->disk);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

void
build_result_clear(BuildResult *result)
{
    g_clear_pointer(&result->path, g_free);
    g_clear_pointer(&result->image, g_free);
    g_clear_pointer(&result->uri, g_free);
}

char *
build_output_name(const char *image, const char *format)
{
    const char *slash = strrchr(image, '/');

    return g_strdup_printf("%s.%s", slash == NULL ? image : slash + 1,
                           format == NULL || strcmp(format, "raw") == 0 ? "img" : format);
}

/* ---- what can be refused before anything is downloaded ---- */

static void
warn_of_partition(const Build *build)
{
    struct stat status;

    if (build->output.kind == FETCH_OUTPUT_DEVICE && !build->request->may_be_partition &&
        fstat(build->output.device, &status) == 0) {
        g_autofree char *sign =
            g_strdup_printf("/sys/dev/block/%u:%u/partition", major(status.st_rdev), minor(status.st_rdev));

        if (g_file_test(sign, G_FILE_TEST_EXISTS))
            g_ptr_array_add(
                build->warnings,
                g_strdup_printf("%s: is a partition; a disk image usually goes onto the whole device",
                                build->output.name));
    }
}

static bool
open_output(Build *build, const char *default_name, GError **error)
{
    const BuildRequest *request = build->request;
    const char *path = request->output == NULL ? default_name : request->output;
    const char *format = request->format == NULL ? "raw" : request->format;

    if (!fetch_output_open(path, format, request->may_replace, &build->output, error))
        return false;
    build->output.mode = 0600; /* it holds what logs in */
    build->format = build->output.format;
    warn_of_partition(build);
    return true;
}

/* @image_size: 0: nobody knows yet */
static bool
decide_size(Build *build, uint64_t image_size, GError **error)
{
    uint64_t asked = build->request->size_bytes;
    g_autofree char *wanted = cli_format_size(asked), *least = cli_format_size(image_size);

    if (asked > 0 && asked < image_size)
        return error_set_code(error, BASE_ERROR_USAGE, "--size %s: is less than the image's %s", wanted,
                              least);
    if (build->output.kind == FETCH_OUTPUT_DEVICE && asked > build->output.device_size)
        return error_set_code(error, BASE_ERROR_USAGE, "--size %s: is more than %s has", wanted,
                              build->output.name);
    if (asked == 0)
        asked = build->output.kind == FETCH_OUTPUT_DEVICE ? build->output.device_size : image_size;
    build->size = (asked + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    return true;
}

/* virt-builder's rule, which scripts count on: nobody gets a disk whose root password is the image's. */
static bool
add_password(const BuildRequest *request, GError **error)
{
    const GPtrArray *ops = request->ops->ops;

    for (guint i = 0; i < ops->len; i++) {
        const GuestOp *op = g_ptr_array_index(ops, i);

        if (op->row->kind == OP_ROOT_PASSWORD ||
            (op->row->kind == OP_PASSWORD && strcmp(op->first, "root") == 0))
            return true;
    }
    return guest_ops_add(request->ops, "root-password", "random", error);
}

/* ---- making the disk ---- */

static bool
make_staging(Build *build, GError **error)
{
    g_autofree char *dir = build->output.kind == FETCH_OUTPUT_FILE ? g_path_get_dirname(build->output.path)
                           : g_getenv("TMPDIR") != NULL            ? g_strdup(g_getenv("TMPDIR"))
                                                                   : g_strdup("/var/tmp");
    g_autofree char *cache = NULL;

    if (!staging_make(dir, &build->staging, error))
        return false;
    build->disk = build->output.kind == FETCH_OUTPUT_DEVICE
                      ? g_strdup(build->output.path)
                      : g_build_filename(build->staging.path, "disk", NULL);
    cache = g_build_filename(build->staging.path, "cache", NULL);
    if (!build->request->has_cache) /* one that goes with everything else */
        g_setenv("VIRT_DEPOT_CACHE", cache, TRUE);
    return true;
}

/* Into the cache first, as the next build will want it too. */
static bool
write_disk(Build *build, GError **error)
{
    g_autoptr(FetchImage) image = NULL;
    g_auto(FetchOutput) part = {.device = -1};
    DiskFormat format;

    if (build->request->has_cache &&
        (image = fetch_offers_pull(build->offers, &build->choice, build->warnings, error)) == NULL)
        return false;
    if (build->output.kind == FETCH_OUTPUT_DEVICE)
        return fetch_offers_write(build->offers, &build->choice, &build->output, build->warnings, &format,
                                  error);
    if (!fetch_output_open(build->disk, disk_format_name(build->format), false, &part, error))
        return false;
    part.mode = 0600;
    return fetch_offers_write(build->offers, &build->choice, &part, build->warnings, &format, error);
}

static bool
read_size(Build *build, GError **error)
{
    g_auto(Fd) fd = open(build->disk, O_RDONLY | O_CLOEXEC);
    g_auto(DiskInfo) info = {0};

    if (build->output.kind == FETCH_OUTPUT_DEVICE) {
        build->image_size = build->choice.entry->size;
        return true;
    }
    if (fd < 0)
        return error_set_errno(error, "%s", build->disk);
    if (!disk_probe(fd, build->disk, &info, error))
        return false;
    build->image_size = info.virtual_size;
    return true;
}

/* More room at the end of the file; the guest gets it in the appliance. */
static bool
resize_file(const Build *build, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, build->size), *message = NULL;
    const char *argv[] = {"qemu-img", "resize", "-q", "-f", "qcow2", "--", build->disk, size, NULL};
    int status;

    if (build->output.kind == FETCH_OUTPUT_DEVICE || build->size == build->image_size)
        return true;
    if (build->format == DISK_RAW)
        return truncate(build->disk, (off_t)build->size) == 0 ||
               error_set_errno(error, "%s: cannot be made larger", build->output.name);
    return g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                        NULL, NULL, &message, &status, error) &&
           (g_spawn_check_wait_status(status, NULL) ||
            error_set(error, "%s: qemu-img resize failed: %s", build->output.name, g_strstrip(message)));
}

static bool
customize(Build *build, GError **error)
{
    const GuestEdit edit = {.path = build->disk,
                            .format = build->format,
                            .label = build->choice.entry->name,
                            .grow = build->size > build->image_size,
                            .ops = build->request->is_plain ? NULL : build->request->ops};
    g_autofree char *reason = NULL;

    if (!guest_edit_needs_appliance(&edit))
        return true;
    if (!guest_customize(&edit, 1, &build->request->run, &reason, error))
        return false;
    if (reason != NULL)
        g_ptr_array_add(build->warnings, g_steal_pointer(&reason));
    return true;
}

static bool
send_disk(const Build *build, GError **error)
{
    g_auto(Fd) fd = open(build->disk, O_RDONLY | O_CLOEXEC);
    g_autoptr(Progress) progress = progress_new("write", 0);

    return (fd >= 0 || error_set_errno(error, "%s", build->disk)) &&
           disk_target_stream(fd, build->disk, NULL, STDOUT_FILENO, build->output.name, progress, error);
}

static bool
rename_disk(const Build *build, GError **error)
{
    const FetchOutput *output = &build->output;

    return output->may_replace ? rename(build->disk, output->path) == 0 ||
                                     error_set_errno(error, "%s: cannot be put into place", output->name)
                               : file_rename_new(build->disk, output->path, error);
}

static bool
put_into_place(const Build *build, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(build->output.path);
    g_auto(Fd) fd = open(build->disk, O_RDONLY | O_CLOEXEC);

    if (build->output.kind == FETCH_OUTPUT_STDOUT)
        return send_disk(build, error);
    if (fd < 0 || (!build->request->is_unsynced && fsync(fd) < 0))
        return error_set_errno(error, "%s: cannot be completed", build->output.name);
    return build->output.kind == FETCH_OUTPUT_DEVICE ||
           (rename_disk(build, error) && (build->request->is_unsynced || file_sync_dir(folder, error)));
}

/* For whoever wants to see what went wrong with it. */
static void
keep_failed(const Build *build)
{
    if (build->request->keeps_failed && build->output.kind == FETCH_OUTPUT_FILE && rename_disk(build, NULL))
        g_ptr_array_add(build->warnings, g_strdup_printf("%s: is not complete, and kept for a look at it",
                                                         build->output.name));
    if (build->output.kind == FETCH_OUTPUT_DEVICE)
        g_ptr_array_add(build->warnings, g_strdup_printf("%s: the device holds a disk that is not complete",
                                                         build->output.name));
}

static bool
make_disk(Build *build, GError **error)
{
    if (!make_staging(build, error) || !write_disk(build, error))
        return false;
    if (read_size(build, error) && decide_size(build, build->image_size, error) &&
        resize_file(build, error) && customize(build, error) && put_into_place(build, error))
        return true;
    keep_failed(build);
    return false;
}

/* Nothing is changed on the way: then blocks can go straight to where they shall be. */
static bool
is_pull(const Build *build)
{
    uint64_t published = build->choice.entry->size;

    return build->request->is_plain && build->request->has_cache &&
           (build->request->size_bytes == 0 || build->size == published) &&
           (build->output.kind != FETCH_OUTPUT_DEVICE || build->output.device_size == published);
}

static bool
write_straight(Build *build, GError **error)
{
    return fetch_offers_write(build->offers, &build->choice, &build->output, build->warnings, &build->format,
                              error);
}

bool
build_image(const BuildRequest *request, BuildResult *out_result, GPtrArray *warnings, GError **error)
{
    g_auto(Build) build = {
        .request = request, .output = {.device = -1}, .staging = STAGING_NONE, .warnings = warnings};
    g_autofree char *name = build_output_name(request->image, request->format);

    if (!open_output(&build, name, error) || (!request->is_plain && !add_password(request, error)))
        return false;
    build.offers = fetch_offers_open(&request->sources, warnings, error);
    if (build.offers == NULL ||
        !fetch_offers_find(build.offers, request->image, request->arch, &build.choice, error) ||
        !decide_size(&build, build.choice.entry->size, error))
        return false;
    if (!request->is_dry_run && !(is_pull(&build) ? write_straight(&build, error) : make_disk(&build, error)))
        return false;
    *out_result = (BuildResult){.path = g_strdup(build.output.path),
                                .format = build.format,
                                .virtual_size = build.size,
                                .image = g_strdup(build.choice.entry->name),
                                .uri = g_strdup(fetch_offers_get(build.offers, build.choice.number).uri),
                                .revision = build.choice.entry->revision};
    return true;
}
