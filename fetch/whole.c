// SPDX-License-Identifier: Apache-2.0
/*
 * The published file as a whole, for those who publish no manifest: by ranges (stream.c), or with one resumed download where that
 * is not possible; its digest; and the image that it unpacks to. Only a confined process reads what is inside.
 */
#include "fetch/whole.h"

#include "base/fd.h"
#include "base/file.h"
#include "fetch/access.h"
#include "fetch/local_manifest.h"
#include "net/net.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
whole_clear(Whole *whole)
{
    g_free(whole->path);
    fd_close(whole->fd);
    g_free(whole->out_path);
    fd_close(whole->out);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Whole, whole_clear)

static bool
download_from(const Whole *whole, const char *url, GError **error)
{
    const IndexEntry *entry = whole->job->entry;
    g_autofree char *label = g_strdup_printf("download %s", entry->name);
    g_autoptr(Progress) progress = progress_new(label, entry->compressed_size);
    g_auto(NetAccess) access = {0};
    NetLimits limits;
    uint64_t have = 0;

    if (!fd_size(whole->fd, whole->path, &have, error) ||
        !access_init(whole->job->catalogue->source, &access, &limits, error))
        return false;
    if (entry->compressed_size > 0 && have > entry->compressed_size) {
        if (ftruncate(whole->fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", whole->path);
        have = 0;
    }
    /* Only what is certain to be needed: what is decoded is no smaller than what was packed. */
    if (entry->compressed_size > 0 &&
        !job_check_space(whole->job, entry->compressed_size - have + entry->compressed_size, error))
        return false;
    return net_download(&(NetDownload){.url = url,
                                       .fd = whole->fd,
                                       .offset = have,
                                       .size = entry->compressed_size,
                                       .max_size = job_max_unpacked(whole->job),
                                       .progress = progress},
                        &limits, error);
}

/* From one server after the other; @start: how many of them to pass over, in turn. The first failure is the one to report. */
static bool
download(const Whole *whole, unsigned start, GError **error)
{
    g_auto(GStrv) urls = job_urls(whole->job, whole->job->entry->file);
    unsigned n = g_strv_length(urls);
    g_autoptr(GError) first = NULL;

    for (unsigned i = 0; i < n; i++) {
        g_autoptr(GError) problem = NULL;

        if (download_from(whole, urls[(start + i) % n], &problem))
            return true;
        if (first == NULL || g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
        }
        if (g_error_matches(first, BASE_ERROR, BASE_ERROR_INTERRUPTED))
            break;
    }
    g_propagate_error(error, g_steal_pointer(&first));
    return false;
}

static bool
has_digest(const Whole *whole, bool *out_is_right, GError **error)
{
    g_autofree char *digest = digest_file(whole->job->key.kind, whole->fd, whole->path, error);

    if (digest == NULL)
        return false;
    *out_is_right = strcmp(digest, whole->job->key.digest) == 0;
    return true;
}

bool
whole_wrong(const Whole *whole, GError **error)
{
    return error_set_code(
        error, BASE_ERROR_UNTRUSTED,
        "%s: its file '%s' does not have the checksum that the index states, so it was altered or "
        "damaged on the way",
        whole->job->entry->name, whole->job->entry->file);
}

/* Complete and with the digest of the index, or emptied: what is wrong once is not resumed. */
static bool
download_verified(const Whole *whole, GError **error)
{
    const IndexEntry *entry = whole->job->entry;
    unsigned n_attempts = MAX(2, 1 + g_strv_length(whole->job->catalogue->source->mirrors));
    bool is_right = false;

    /* Without a stated size a complete download cannot be told from a partial one but by its digest. */
    if (entry->compressed_size == 0 && !has_digest(whole, &is_right, error))
        return false;
    for (unsigned attempt = 0; attempt < n_attempts && !is_right; attempt++) {
        if (!download(whole, attempt, error) || !has_digest(whole, &is_right, error))
            return false;
        if (!is_right && ftruncate(whole->fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", whole->path);
    }
    return is_right || whole_wrong(whole, error);
}

/* ---- unpacking ---- */

Unpack *
whole_unpack_start(const Whole *whole, uint64_t size, GBytes *tail, GError **error)
{
    const IndexEntry *entry = whole->job->entry;
    bool is_raw = g_strcmp0(entry->format, "raw") == 0;

    return unpack_start(
        &(UnpackJob){.name = entry->name,
                     .path = whole->path,
                     .size = size,
                     .tail = tail,
                     .out_fd = whole->out,
                     .max_raw = is_raw && entry->size > 0 ? entry->size : job_max_unpacked(whole->job)},
        error);
}

static bool
copy(const Whole *whole, Progress *progress, GError **error)
{
    DiskCopyKind kind;

    return disk_copy(whole->fd, whole->path, whole->out, whole->out_path, progress, &kind, error);
}

/* A process that began before all was there, and died, may have met what is not in the file: it gets a second chance, once. */
static UnpackEnd
unpack_xz(const Whole *whole, uint64_t size, Unpack *early, Progress *progress, DiskManifest **out_manifest,
          GError **error)
{
    g_autoptr(Unpack) unpack = early != NULL ? early : whole_unpack_start(whole, size, NULL, error);
    UnpackEnd end = unpack != NULL ? unpack_wait(unpack, progress, out_manifest, error) : UNPACK_FAILED;

    if (early == NULL || end != UNPACK_DIED)
        return end;
    g_clear_error(error);
    g_clear_pointer(&unpack, unpack_free);
    if (ftruncate(whole->out, 0) < 0) {
        error_set_errno(error, "%s: cannot truncate", whole->out_path);
        return UNPACK_FAILED;
    }
    return unpack_xz(whole, size, NULL, progress, out_manifest, error);
}

bool
whole_unpack(const Whole *whole, Unpack *unpack, GError **error)
{
    g_autofree char *label = g_strdup_printf("unpack %s", whole->job->entry->name);
    g_autoptr(Progress) progress = NULL;
    g_autoptr(DiskManifest) manifest = NULL;
    g_autoptr(GError) problem = NULL;
    g_autofree char *signed_manifest = cache_manifest_path(&whole->job->key);
    uint64_t size;

    if (!fd_size(whole->fd, whole->path, &size, error)) {
        unpack_free(unpack);
        return false;
    }
    progress = progress_new(label, size);
    if (unpack != NULL)
        progress_skip(progress, unpack_used(unpack));
    if (!disk_is_xz(whole->fd))
        return copy(whole, progress, error);
    if (unpack_xz(whole, size, unpack, progress, &manifest, error) != UNPACK_DONE)
        return false;
    if (manifest != NULL && !g_file_test(signed_manifest, G_FILE_TEST_EXISTS) &&
        !local_manifest_write(&whole->job->key, manifest, &problem)) /* the image is good without */
        g_ptr_array_add(whole->job->warnings, g_strdup(problem->message));
    return true;
}

/* ---- all of it ---- */

/* The new, empty file @path, without what a dead pull left there. */
static int
create(const char *path, GError **error)
{
    int fd;

    if (!file_remove(path, error))
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        error_set_errno(error, "%s: cannot create", path);
    return fd;
}

/* One connection, which is all that a small file takes, and all that some servers give. */
static bool
fetch_in_one(const Whole *whole, GError **error)
{
    return download_verified(whole, error) && whole_unpack(whole, NULL, error);
}

static bool
fetch(const Whole *whole, GError **error)
{
    JobResult result = whole->job->entry->compressed_size > NET_RANGES_REQUEST_BYTES
                           ? stream_fetch(whole, error)
                           : JOB_NOT_SO;

    return result == JOB_NOT_SO ? fetch_in_one(whole, error) : result == JOB_DONE;
}

int
whole_fetch(const Job *job, const char *path, GError **error)
{
    g_auto(Whole) whole = {
        .job = job, .path = cache_partial_path(&job->key), .fd = -1, .out_path = g_strdup(path), .out = -1};
    struct stat status;

    whole.fd = open(whole.path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (whole.fd < 0) {
        error_set_errno(error, "%s: cannot open", whole.path);
        return -1;
    }
    whole.out = create(path, error);
    if (whole.out >= 0 && fetch(&whole, error))
        return fd_steal(&whole.out);
    unlink(path);
    if (fstat(whole.fd, &status) == 0 && status.st_size == 0)
        unlink(whole.path);
    return -1;
}
