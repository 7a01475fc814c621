// SPDX-License-Identifier: Apache-2.0
/*
 * The published file as a whole, for those who publish no manifest: one resumed download, the digest of all of it, and only
 * then the decoder.
 */
#include "fetch/job.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/pool.h"
#include "fetch/access.h"
#include "net/net.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const Job *job;
    char *path; /* of the partial download */
    int fd;
} Whole;

static void
whole_clear(Whole *whole)
{
    g_free(whole->path);
    fd_close(whole->fd);
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
    if (is_right)
        return true;
    return error_set_code(
        error, BASE_ERROR_UNTRUSTED,
        "%s: its file '%s' does not have the checksum that the index states, so it was altered or "
        "damaged on the way",
        entry->name, entry->file);
}

static bool
unpack(const Whole *whole, int out, const char *out_path, GError **error)
{
    const IndexEntry *entry = whole->job->entry;
    g_autofree char *label = g_strdup_printf("unpack %s", entry->name);
    g_autoptr(Progress) progress = progress_new(label, entry->size);
    bool is_raw = g_strcmp0(entry->format, "raw") == 0;
    DiskCopyKind kind;

    if (!disk_is_xz(whole->fd))
        return disk_copy(whole->fd, whole->path, out, out_path, progress, &kind, error);
    return disk_xz_decompress(whole->fd, whole->path, out, out_path,
                              is_raw && entry->size > 0 ? entry->size : job_max_unpacked(whole->job),
                              pool_default_threads(), progress, error);
}

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

int
whole_fetch(const Job *job, const char *path, GError **error)
{
    g_auto(Whole) whole = {.job = job, .path = cache_partial_path(&job->key), .fd = -1};
    g_auto(Fd) out = -1;
    struct stat status;

    whole.fd = open(whole.path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (whole.fd < 0) {
        error_set_errno(error, "%s: cannot open", whole.path);
        return -1;
    }
    if (!download_verified(&whole, error)) {
        if (fstat(whole.fd, &status) == 0 && status.st_size == 0)
            unlink(whole.path);
        return -1;
    }
    out = create(path, error);
    if (out < 0)
        return -1;
    if (!unpack(&whole, out, path, error)) {
        unlink(path);
        return -1;
    }
    return fd_steal(&out);
}
