// SPDX-License-Identifier: Apache-2.0
#include "fetch/heal.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "fetch/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1u << 20) /* bytes compared at a time; a multiple of PAGE */
#define PAGE 4096u       /* what a file system writes as one */

typedef struct {
    const Job *job;
    const DiskManifest *manifest;
    DiskTarget image;
    struct stat seen; /* the file as it is compared: only of that something can be said */
    bool *is_good;    /* for each block; while the pool compares, each thread has its own */
    Progress *progress;
} Check;

static void
check_clear(Check *check)
{
    fd_close(check->image.fd);
    g_free(check->is_good);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Check, check_clear)

void
heal_clear(Heal *heal)
{
    g_clear_pointer(&heal->reason, g_free);
}

const char *
heal_state_name(HealState state)
{
    static const char *const NAMES[] = {
        [HEAL_GOOD] = "good",
        [HEAL_HEALED] = "healed",
        [HEAL_DAMAGED] = "damaged",
        [HEAL_UNKNOWN] = "unknown",
    };

    return NAMES[state];
}

static bool
is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether nobody wrote to the file since look(): blocks that were compared before may differ now. */
static bool
check_unchanged(const Check *check, GError **error)
{
    struct stat now;

    if (fstat(check->image.fd, &now) < 0)
        return error_set_errno(error, "%s", check->image.name);
    return (now.st_size == check->seen.st_size && is_same_time(&now.st_mtim, &check->seen.st_mtim) &&
            is_same_time(&now.st_ctim, &check->seen.st_ctim)) ||
           error_set(error,
                     "it was changed by somebody else meanwhile; find out by whom, then verify it again");
}

static bool
look(Check *check, GError **error)
{
    return fstat(check->image.fd, &check->seen) == 0 || error_set_errno(error, "%s", check->image.name);
}

static const DiskManifestBlock *
place_of(const Check *check, guint number)
{
    return &g_array_index(check->manifest->blocks, DiskManifestBlock, number);
}

/* ---- what is wrong ---- */

static bool
compare_item(size_t item, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    Check *check = context;
    g_autoptr(GError) problem = NULL;
    bool is_same = false;

    /* A block that cannot be read is a damaged one. */
    if (!disk_block_compare(check->manifest, (guint)item, &check->image, &is_same, &problem) &&
        !interrupt_check(error))
        return false;
    check->is_good[item] = is_same;
    progress_add(check->progress, place_of(check, (guint)item)->raw_size);
    return true;
}

/* A file of the wrong length is damaged whatever is in it. */
static bool
compare(Check *check, bool *out_has_size, GError **error)
{
    g_autofree char *label = g_strdup_printf("check %s", check->job->entry->name);
    g_autoptr(Progress) progress = progress_new(label, check->manifest->raw_size);
    uint64_t size;

    check->progress = progress;
    if (!look(check, error) || !fd_size(check->image.fd, check->image.name, &size, error))
        return false;
    *out_has_size = size == check->manifest->raw_size;
    return pool_run(pool_default_threads(), check->manifest->blocks->len, compare_item, check, error);
}

static void
count(const Check *check, Heal *heal)
{
    heal->blocks = check->manifest->blocks->len;
    heal->bad = 0;
    for (guint i = 0; i < heal->blocks; i++)
        heal->bad += !check->is_good[i];
}

/* ---- writing over it ---- */

/* A file that is read-only even for its owner. */
static int
open_for_writing(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == EACCES && chmod(path, 0644) == 0) {
        fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        chmod(path, 0444);
    }
    if (fd < 0)
        error_set_errno(error, "%s: cannot be opened for writing", path);
    return fd;
}

/* The pages of one piece that differ, in runs. What cannot be read differs. */
static bool
write_pages(int fd, const char *path, const uint8_t *wanted, size_t size, uint64_t at, GError **error)
{
    g_autofree uint8_t *present = g_malloc(size);
    ssize_t n = fd_pread(fd, present, size, at, path, NULL);
    size_t readable = n < 0 ? 0 : (size_t)n, from = 0;

    for (size_t page = 0; page < size; page += PAGE) {
        size_t end = MIN(page + PAGE, size);

        if (end > readable || memcmp(wanted + page, present + page, end - page) != 0)
            continue;
        if (page > from && !fd_pwrite_all(fd, wanted + from, page - from, at + from, path, error))
            return false;
        from = end;
    }
    return from == size || fd_pwrite_all(fd, wanted + from, size - from, at + from, path, error);
}

static bool
copy_block(const Check *check, guint number, int scratch, const char *scratch_path, GError **error)
{
    const DiskManifestBlock *place = place_of(check, number);
    g_autofree uint8_t *wanted = g_malloc(PIECE);
    uint64_t end = place->raw_offset + place->raw_size;

    if (disk_block_is_hole(check->manifest, number) &&
        disk_block_erase(check->manifest, number, &check->image, NULL))
        return true;
    for (uint64_t at = place->raw_offset; at < end; at += PIECE) {
        size_t n = MIN(end - at, PIECE);

        if (!interrupt_check(error) || !fd_pread_exact(scratch, wanted, n, at, scratch_path, error) ||
            !write_pages(check->image.fd, check->image.name, wanted, n, at, error))
            return false;
    }
    return true;
}

/* Where a file system makes no holes, zeroes that are stored are as good; the comparison wants holes. */
static bool
check_again(const Check *check, guint number, GError **error)
{
    bool is_same = disk_block_is_hole(check->manifest, number);

    return (is_same || disk_block_compare(check->manifest, number, &check->image, &is_same, error)) &&
           (is_same ||
            error_set(error, "%s: block %u is still damaged after it was written: does the disk fail?",
                      check->image.name, number));
}

static bool
patch(Check *check, int scratch, const char *scratch_path, GError **error)
{
    uint64_t size;

    if (!check_unchanged(check, error)) /* what was good while the blocks were fetched is not written over */
        return false;
    fd_close(fd_steal(&check->image.fd));
    check->image.fd = open_for_writing(check->image.name, error);
    if (check->image.fd < 0 || !fd_size(check->image.fd, check->image.name, &size, error))
        return false;
    if (size != check->manifest->raw_size && ftruncate(check->image.fd, (off_t)check->manifest->raw_size) < 0)
        return error_set_errno(error, "%s: cannot set its size", check->image.name);
    for (guint i = 0; i < check->manifest->blocks->len; i++)
        if (!check->is_good[i] && !copy_block(check, i, scratch, scratch_path, error))
            return false;
    if (fchmod(check->image.fd, 0444) < 0 || fsync(check->image.fd) < 0)
        return error_set_errno(error, "%s: cannot be completed", check->image.name);
    if (!look(check, error))
        return false;
    for (guint i = 0; i < check->manifest->blocks->len; i++)
        if (!check->is_good[i] && !check_again(check, i, error))
            return false;
    return check_unchanged(check, error);
}

/* ---- the whole of it ---- */

static bool
fetch_and_patch(Check *check, const char *scratch_path, Heal *heal, GError **error)
{
    g_auto(Fd) scratch = open(scratch_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    JobResult result;

    if (scratch < 0)
        return error_set_errno(error, "%s: cannot open", scratch_path);
    result = blocks_fetch_only(check->job, check->manifest, check->is_good,
                               &(DiskTarget){.fd = scratch, .name = scratch_path}, error);
    if (result == JOB_NOT_SO)
        error_set(error, "no server of source '%s' answers range requests",
                  check->job->catalogue->source->name);
    if (result != JOB_DONE)
        return false;
    for (guint i = 0; i < heal->blocks; i++)
        if (!check->is_good[i] && !disk_block_is_hole(check->manifest, i))
            heal->fetched_bytes += place_of(check, i)->packed_size;
    return patch(check, scratch, scratch_path, error);
}

/* The source is not asked where that is not wanted; then what is wrong stays. */
static bool
fix(Check *check, bool is_fixed, Heal *heal, GError **error)
{
    g_autofree char *scratch_path = cache_blocks_path(&check->job->key);
    g_autoptr(GError) problem = NULL;

    heal->state = HEAL_DAMAGED;
    if (!is_fixed || check->job->catalogue->is_offline) {
        heal->reason = g_strdup("nothing was to be fetched");
        return true;
    }
    if (fetch_and_patch(check, scratch_path, heal, &problem))
        heal->state = HEAL_HEALED;
    else if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED))
        g_propagate_error(error, g_steal_pointer(&problem));
    else
        heal->reason = g_strdup(problem->message);
    unlink(scratch_path);
    return heal->state == HEAL_HEALED || heal->reason != NULL;
}

bool
heal_image(const Job *job, const char *path, bool is_fixed, Heal *out_heal, GError **error)
{
    g_autoptr(DiskManifest) manifest = NULL;
    g_autoptr(GError) problem = NULL;
    g_auto(Check) check = {.job = job, .image = {.fd = -1, .name = path}};
    g_auto(Heal) heal = {.state = HEAL_UNKNOWN};
    JobResult result = manifest_fetch(job, &manifest, &problem);
    bool has_size;

    if (result == JOB_DONE) {
        check.manifest = manifest;
        check.is_good = g_new0(bool, manifest->blocks->len);
        check.image.fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (check.image.fd < 0)
            return error_set_errno(error, "%s", path);
        if (!compare(&check, &has_size, error))
            return false;
        count(&check, &heal);
        if (!check_unchanged(&check, &problem)) {
            heal.state = HEAL_DAMAGED;
            heal.reason = g_strdup(problem->message);
        } else if (heal.bad == 0 && has_size) {
            heal.state = HEAL_GOOD;
        } else if (!fix(&check, is_fixed, &heal, error)) {
            return false;
        }
        if (heal.state != HEAL_DAMAGED && !seal_renew(job->key.id, path, &check.seen, error))
            return false;
    } else if (result == JOB_FAILED && !interrupt_check(error)) {
        return false;
    } else {
        heal.reason = problem != NULL ? g_strdup(problem->message)
                                      : g_strdup("nothing here says what its blocks must be");
    }
    *out_heal = heal;
    heal = (Heal){0};
    return true;
}
