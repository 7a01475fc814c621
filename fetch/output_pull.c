// SPDX-License-Identifier: Apache-2.0
/*
 * An image to where --output says. Nothing unverified gets there: blocks are compared with their digests before they are
 * decoded (blocks.c), and whatever has no manifest comes out of the cache. A file is made under another name in its folder,
 * which tells the image, the format and the name that it shall have: that is how an interrupted pull finds its work again.
 */
#include "fetch/output.h"

#include "base/file.h"
#include "base/paths.h"
#include "fetch/job.h"
#include "fetch/reuse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_DIGITS 24

/* ---- a file that is not yet complete ---- */

static char *
part_path(const FetchOutput *output, const char *id, DiskFormat format)
{
    g_autofree char *folder = g_path_get_dirname(output->path), *leaf = g_path_get_basename(output->path);
    g_autofree char *bound = g_strdup_printf("%s\n%s\n%s", id, disk_format_name(format), leaf);
    g_autofree char *digest = digest_bytes(DIGEST_SHA256, bound, strlen(bound));

    return g_strdup_printf("%s/.virt-depot-%.*s.part", folder, PART_DIGITS, digest);
}

/* Locked as long as it is open, so that two pulls to one file do not meet in it. Its name can be guessed: whoever owns it or has
 * another name for it could change it later. */
static int
open_part(const char *path, GError **error)
{
    g_auto(Fd) fd = file_lock(path, false, error);
    struct stat status;

    if (fd < 0) {
        if (error != NULL)
            g_prefix_error(error, "cannot write there: ");
        return -1;
    }
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        status.st_nlink != 1) {
        error_set(error, "%s: is in the way and is not a file of one's own; remove it", path);
        return -1;
    }
    return fd_steal(&fd);
}

static bool
put_into_place(const FetchOutput *output, int fd, const char *part, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(output->path);

    if (fchmod(fd, output->mode) < 0 || fsync(fd) < 0)
        return error_set_errno(error, "%s: cannot be completed", output->name);
    if (!output->may_replace && !file_rename_new(part, output->path, error))
        return false;
    if (output->may_replace && rename(part, output->path) < 0)
        return error_set_errno(error, "%s: cannot be put into place", output->name);
    return file_sync_dir(folder, error);
}

/* What can go on stays, whoever has to do something first; what is wrong goes. @error must not be NULL. */
static void
keep_or_remove(const FetchOutput *output, int fd, const char *part, GPtrArray *warnings, GError **error)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && status.st_blocks > 0 &&
        !g_error_matches(*error, BASE_ERROR, BASE_ERROR_UNTRUSTED))
        g_ptr_array_add(warnings, g_strdup_printf("%s: what was fetched is kept in %s, and the same command "
                                                  "goes on with it",
                                                  output->name, part));
    else
        unlink(part);
}

static void
warn_of_device(const FetchOutput *output, GPtrArray *warnings)
{
    g_ptr_array_add(warnings,
                    g_strdup_printf("%s: the device has a part of the image only, do not use it; the same "
                                    "command with --force goes on",
                                    output->name));
}

static bool
check_device(const FetchOutput *output, uint64_t size, GError **error)
{
    g_autofree char *has = cli_format_size(output->device_size), *needs = cli_format_size(size);

    return output->kind != FETCH_OUTPUT_DEVICE || size <= output->device_size ||
           error_set(error, "%s: the device has %s and the image needs %s", output->name, has, needs);
}

/* ---- straight from the server ---- */

static bool
check_content(const Job *job, const DiskTarget *target, const DiskManifest *manifest, GError **error)
{
    g_auto(DiskInfo) info = {0};

    return disk_target_probe(target, manifest->raw_size, job->entry->name, &info, error) &&
           pull_check_info(job->entry, &info, error);
}

static JobResult
fetch_into(const Job *job, const DiskManifest *manifest, const DiskTarget *target, GError **error)
{
    JobResult result;

    if (target->layout == NULL && !target->is_device &&
        !reuse_fill(job, manifest, target->fd, target->name, error))
        return JOB_FAILED;
    result = blocks_fetch(job, manifest, target, error);
    if (result == JOB_DONE &&
        (!check_content(job, target, manifest, error) || !disk_target_finish(target, error)))
        result = JOB_FAILED;
    return result;
}

/* @error must not be NULL. */
static JobResult
fetch_to_file(const FetchOutput *output, const Job *job, const DiskManifest *manifest, DiskFormat format,
              GError **error)
{
    g_autofree char *part = part_path(output, job->key.id, format);
    g_autoptr(DiskLayout) layout = NULL;
    g_auto(Fd) fd = -1;
    JobResult result;

    if (format == DISK_QCOW2 && strcmp(job->entry->format, "raw") == 0) {
        layout = disk_layout_of_manifest(manifest, job->entry->name, error);
        if (layout == NULL)
            return JOB_FAILED;
    }
    fd = open_part(part, error);
    if (fd < 0)
        return JOB_FAILED;
    result =
        fetch_into(job, manifest, &(DiskTarget){.fd = fd, .name = output->name, .layout = layout}, error);
    if (result == JOB_DONE && !put_into_place(output, fd, part, error))
        result = JOB_FAILED;
    if (result == JOB_FAILED)
        keep_or_remove(output, fd, part, job->warnings, error);
    else if (result == JOB_NOT_SO)
        unlink(part);
    return result;
}

static JobResult
fetch_to_device(FetchOutput *output, const Job *job, const DiskManifest *manifest, GError **error)
{
    const DiskTarget target = {.fd = output->device, .name = output->name, .is_device = true};
    JobResult result;

    if (!check_device(output, manifest->raw_size, error))
        return JOB_FAILED;
    output->is_begun = true;
    result = fetch_into(job, manifest, &target, error);
    if (result == JOB_DONE)
        output->is_begun = false;
    return result;
}

/* Whether what the manifest describes is what is wanted. */
static bool
can_go_direct(const FetchOutput *output, const Catalogue *catalogue, const IndexEntry *entry)
{
    DiskFormat published;

    if (output->kind == FETCH_OUTPUT_STDOUT || catalogue->is_offline ||
        !disk_format_parse(entry->format, &published))
        return false;
    return published == DISK_RAW ||
           (output->kind == FETCH_OUTPUT_FILE && (!output->has_format || output->format == DISK_QCOW2));
}

/* @error must not be NULL. */
static JobResult
fetch_direct(FetchOutput *output, Job *job, DiskFormat *out_format, GError **error)
{
    g_autofree char *lock_path = cache_lock_path(&job->key), *folder = g_path_get_dirname(output->path);
    /* Whoever pulls it into the cache now will have it there: then it comes from there. */
    g_auto(Fd) lock = file_lock(lock_path, false, NULL);
    g_autoptr(DiskManifest) manifest = NULL;
    JobResult result;

    if (lock < 0)
        return JOB_NOT_SO;
    disk_format_parse(job->entry->format, out_format);
    if (output->has_format)
        *out_format = output->format;
    job->folder = folder;
    progress_share(lock); /* for whoever waits for it */
    result = manifest_fetch(job, &manifest, error);
    if (result == JOB_DONE)
        result = output->kind == FETCH_OUTPUT_DEVICE
                     ? fetch_to_device(output, job, manifest, error)
                     : fetch_to_file(output, job, manifest, *out_format, error);
    progress_share(-1);
    unlink(lock_path); /* under the lock: who waits for it sees that it lost its name */
    return result;
}

/* ---- out of the cache ---- */

/* A file without a name, in the cache. */
static int
open_scratch(GError **error)
{
    g_autofree char *cache = path_cache(), *path = g_build_filename(cache, "partial", "convert-XXXXXX", NULL);
    int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        error_set_errno(error, "%s: cannot create", path);
    else
        unlink(path);
    return fd;
}

static bool
copy_as_it_is(int in_fd, const FetchImage *image, int fd, const char *name, Progress *progress,
              GError **error)
{
    DiskCopyKind kind;

    return disk_copy(in_fd, image->path, fd, name, progress, &kind, error);
}

static bool
copy_laid_out(int in_fd, const FetchImage *image, int fd, const char *name, Progress *progress,
              GError **error)
{
    g_autoptr(DiskLayout) layout = disk_layout_of_file(in_fd, image->path, error);
    const DiskTarget target = {.fd = fd, .name = name, .layout = layout};

    return layout != NULL && disk_target_begin_anew(&target, image->virtual_size, error) &&
           disk_target_fill(&target, in_fd, image->path, image->virtual_size, progress, error) &&
           disk_target_finish(&target, error);
}

static bool
copy_to_file(const FetchOutput *output, const FetchImage *image, int in_fd, DiskFormat format,
             Progress *progress, GError **error)
{
    g_autofree char *part = part_path(output, image->id, format);
    g_auto(Fd) fd = open_part(part, error);
    bool is_ok;

    if (fd < 0)
        return false;
    is_ok = ftruncate(fd, 0) == 0 || error_set_errno(error, "%s: cannot truncate", part);
    if (is_ok)
        is_ok = image->format == format     ? copy_as_it_is(in_fd, image, fd, output->name, progress, error)
                : image->format == DISK_RAW ? copy_laid_out(in_fd, image, fd, output->name, progress, error)
                                            : disk_convert(in_fd, image->path, "qcow2", fd, error);
    if (!is_ok || !put_into_place(output, fd, part, error)) {
        unlink(part);
        return false;
    }
    return true;
}

static bool
copy_to_device(FetchOutput *output, const FetchImage *image, int raw_fd, Progress *progress, GError **error)
{
    const DiskTarget target = {.fd = output->device, .name = output->name, .is_device = true};

    if (!check_device(output, image->virtual_size, error))
        return false;
    output->is_begun = true;
    if (!disk_target_fill(&target, raw_fd, image->path, image->virtual_size, progress, error) ||
        !disk_target_finish(&target, error))
        return false;
    output->is_begun = false;
    return true;
}

static bool
copy_to_stdout(const FetchOutput *output, const FetchImage *image, int fd, bool as_qcow2, Progress *progress,
               GError **error)
{
    g_autoptr(DiskLayout) layout = as_qcow2 ? disk_layout_of_file(fd, image->path, error) : NULL;

    return (layout != NULL || !as_qcow2) &&
           disk_target_stream(fd, image->path, layout, STDOUT_FILENO, output->name, progress, error);
}

static bool
copy_cached(FetchOutput *output, const FetchImage *image, DiskFormat *out_format, GError **error)
{
    g_autofree char *label = g_strdup_printf("write %s", image->entry->name);
    g_auto(Fd) fd = open(image->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    DiskFormat format = output->has_format ? output->format : image->format;
    g_autoptr(Progress) progress = progress_new(label, 0);

    *out_format = format;
    if (fd < 0)
        return error_set_errno(error, "%s: cannot open", image->path);
    if (output->kind == FETCH_OUTPUT_FILE)
        return copy_to_file(output, image, fd, format, progress, error);
    if (image->format == DISK_QCOW2 && format == DISK_RAW) {
        g_auto(Fd) raw = open_scratch(error);

        if (raw < 0 || !disk_convert(fd, image->path, "qcow2", raw, error))
            return false;
        fd_close(fd);
        fd = fd_steal(&raw);
    }
    return output->kind == FETCH_OUTPUT_DEVICE
               ? copy_to_device(output, image, fd, progress, error)
               : copy_to_stdout(output, image, fd, image->format != format && format == DISK_QCOW2, progress,
                                error);
}

static bool
pull_any_way(FetchOutput *output, const Catalogue *catalogue, const IndexEntry *entry, const PullWish *wish,
             GPtrArray *warnings, DiskFormat *out_format, FetchCost *out_cost, GError **error)
{
    g_auto(Job) job = {
        .catalogue = catalogue, .entry = entry, .codec = wish->codec, .warnings = warnings, .cost = out_cost};
    g_autoptr(FetchImage) image = NULL;
    g_autoptr(GError) problem = NULL;
    JobResult result = JOB_NOT_SO;

    if (!pull_check(catalogue, entry, wish->may_downgrade, error) ||
        !cache_key_init(&job.key, entry, error) || !check_device(output, entry->size, error) ||
        !cache_prepare(error))
        return false;
    image = pull_cached(catalogue->source->name, entry);
    if (image == NULL && can_go_direct(output, catalogue, entry))
        result = fetch_direct(output, &job, out_format, &problem);
    if (result == JOB_FAILED) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    if (result == JOB_DONE)
        return pull_record(catalogue, entry, wish->may_downgrade, error);
    if (image == NULL) {
        image = pull_entry(catalogue, entry, wish, warnings, error);
        if (image != NULL) {
            g_free(out_cost->why);
            *out_cost = image->cost;
            image->cost = (FetchCost){0};
        }
    }
    return image != NULL && copy_cached(output, image, out_format, error);
}

bool
output_pull(FetchOutput *output, const Catalogue *catalogue, const IndexEntry *entry, const PullWish *wish,
            GPtrArray *warnings, DiskFormat *out_format, FetchCost *out_cost, GError **error)
{
    bool is_ok = pull_any_way(output, catalogue, entry, wish, warnings, out_format, out_cost, error);

    if (output->is_begun)
        warn_of_device(output, warnings);
    return is_ok;
}
