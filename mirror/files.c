// SPDX-License-Identifier: Apache-2.0
/* Looking for files and fetching them. A part has the name of the content that it is to become, so that any later run goes on
 * with it, whatever the index calls it by then. */
#include "mirror/files.h"

#include "base/cli.h"
#include "base/interrupt.h"
#include "base/pool.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ATTEMPTS 2u /* a part of an earlier run may be wrong: once more from the beginning */

/* ---- what is there ---- */

static char *
blob_path(const char *sha512)
{
    return g_strdup_printf("blobs/sha512/%.2s/%s", sha512, sha512);
}

/* is_whole: whether the open blob is what it is called; judged by its size, or by all of it. */
static bool
is_whole(const MirrorJob *job, const MirrorFile *file, int fd, const char *sha512, uint64_t size,
         bool *out_is_whole, GError **error)
{
    g_autofree char *digest = NULL;

    *out_is_whole = file->size == 0 || file->size == size;
    if (!*out_is_whole || !job->want_digests)
        return true;
    digest = digest_file(DIGEST_SHA512, fd, store_location(job->store), error);
    *out_is_whole = g_strcmp0(digest, sha512) == 0;
    return digest != NULL;
}

static bool
look(const MirrorJob *job, MirrorFile *file, GError **error)
{
    const bool is_by_digest = file->digest != NULL && file->kind == DIGEST_SHA512;
    const char *sha512 = is_by_digest ? file->digest : g_hash_table_lookup(job->notes->known, file->key);
    g_autofree char *path = sha512 != NULL ? blob_path(sha512) : NULL;
    g_auto(Fd) fd = path != NULL && job->store != NULL ? store_open_blob(job->store, path, NULL) : -1;
    uint64_t size;
    bool is_good;

    if (fd < 0 || !fd_size(fd, path, &size, NULL))
        return true;
    if (!is_whole(job, file, fd, sha512, size, &is_good, error))
        return false;
    file->is_damaged = !is_good;
    if (is_good) {
        file->sha512 = g_strdup(sha512);
        file->got = size;
    }
    return true;
}

bool
mirror_files_look(const MirrorJob *job, MirrorSum *out_here, MirrorSum *out_missing, GError **error)
{
    *out_here = *out_missing = (MirrorSum){0};
    for (guint i = 0; i < job->files->len; i++) {
        MirrorFile *file = g_ptr_array_index(job->files, i);
        MirrorSum *sum;

        if (file->sha512 == NULL && !look(job, file, error)) {
            /* A disk that cannot read it has not got it. */
            if (!interrupt_check(NULL))
                return false;
            g_clear_error(error);
            file->is_damaged = true;
        }
        sum = file->sha512 != NULL ? out_here : out_missing;
        sum->files++;
        sum->bytes += file->sha512 != NULL ? file->got : file->size;
    }
    return true;
}

unsigned
mirror_files_missing(const GPtrArray *files, const MirrorFile **out_first)
{
    unsigned n = 0;

    for (guint i = 0; i < files->len; i++) {
        const MirrorFile *file = g_ptr_array_index(files, i);

        if (file->sha512 != NULL)
            continue;
        if (n++ == 0 && out_first != NULL)
            *out_first = file;
    }
    return n;
}

/* ---- fetching ---- */

typedef struct {
    const MirrorJob *job;
    GPtrArray *missing; /* (element-type MirrorFile) */
    Progress *progress;
} Run;

/* part_name: (transfer full) parts are named by a SHA-512: that of the content, or of what tells the content apart. */
static char *
part_name(const MirrorFile *file)
{
    if (file->kind == DIGEST_SHA512 && file->digest != NULL)
        return g_strdup(file->digest);
    return digest_bytes(DIGEST_SHA512, file->key, strlen(file->key));
}

/* check: *out_sha512 is NULL where @fd holds anything else than @file. */
static bool
check(const MirrorFile *file, int fd, const char *path, char **out_sha512, GError **error)
{
    g_autofree char *digest = digest_file(file->kind, fd, path, error);

    if (digest == NULL)
        return false;
    *out_sha512 = NULL;
    if (file->digest != NULL && strcmp(digest, file->digest) != 0)
        return true;
    *out_sha512 =
        file->kind == DIGEST_SHA512 ? g_steal_pointer(&digest) : digest_file(DIGEST_SHA512, fd, path, error);
    return *out_sha512 != NULL;
}

static bool
empty(const StoreUpload *part, GError **error)
{
    return ftruncate(part->fd, 0) == 0 || error_set_errno(error, "%s: cannot truncate", part->path);
}

static bool
download(const Run *run, const MirrorFile *file, const StoreUpload *part, char **out_sha512, GError **error)
{
    const FetchFile wanted = {.file = file->file,
                              .fd = part->fd,
                              .path = part->path,
                              .size = file->size,
                              .max_size = file->max_size,
                              .max_rate = run->job->max_rate,
                              .total = run->progress};
    uint64_t have;

    if (!fd_size(part->fd, part->path, &have, error))
        return false;
    /* Without a stated size a complete part cannot be told from a partial one but by its digest; without that neither. */
    if (file->digest == NULL && have > 0 && !empty(part, error))
        return false;
    if (file->digest != NULL && file->size == 0 && have > 0 &&
        !check(file, part->fd, part->path, out_sha512, error))
        return false;
    for (unsigned attempt = 0; attempt < ATTEMPTS && *out_sha512 == NULL; attempt++) {
        if (!fetch_upstream_download(run->job->upstream, &wanted, attempt, error) ||
            !check(file, part->fd, part->path, out_sha512, error) ||
            (*out_sha512 == NULL && !empty(part, error)))
            return false;
    }
    return *out_sha512 != NULL ||
           error_set_code(
               error, BASE_ERROR_UNTRUSTED,
               "%s: '%s' does not have the checksum that the index states, so it was altered or damaged "
               "on the way",
               file->image, file->file);
}

/* replace_damaged: a blob of the right size stays as it is when another is finished. */
static bool
replace_damaged(const MirrorJob *job, const MirrorFile *file, const char *sha512, GError **error)
{
    g_autofree char *path = blob_path(sha512);

    return !file->is_damaged || store_remove_blob(job->store, path, error);
}

static bool
fetch(const Run *run, MirrorFile *file, GError **error)
{
    g_autofree char *name = part_name(file), *sha512 = NULL, *path = NULL;
    StoreUpload part = STORE_UPLOAD_NONE;
    uint64_t have = 0;

    if (!store_part_open(run->job->store, name, &part, error))
        return false;
    if (download(run, file, &part, &sha512, error) && fd_size(part.fd, part.path, &file->got, error) &&
        replace_damaged(run->job, file, sha512, error) &&
        store_upload_finish(run->job->store, &part, sha512, &path, error)) {
        file->sha512 = g_steal_pointer(&sha512);
        return true;
    }
    if (fd_size(part.fd, part.path, &have, NULL) && have == 0)
        store_upload_clear(&part);
    else
        store_part_close(&part);
    return false;
}

static bool
fetch_item(size_t item, unsigned worker G_GNUC_UNUSED, void *context, GError **error)
{
    const Run *run = context;
    MirrorFile *file = g_ptr_array_index(run->missing, item);

    g_clear_error(&file->error);
    fetch(run, file, &file->error);
    return interrupt_check(error);
}

/* What earlier runs have of a part need not come again, but it is kept until the file is complete. */
static bool
check_space(const MirrorJob *job, uint64_t needed, GError **error)
{
    g_autofree char *needs = NULL, *has = NULL;
    struct statvfs fs;
    uint64_t available;

    if (statvfs(store_location(job->store), &fs) < 0)
        return true; /* whoever writes will see */
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (needed <= available)
        return true;
    needs = cli_format_size(needed);
    has = cli_format_size(available);
    return error_set(error, "%s: %s more are needed and only %s are free", store_location(job->store), needs,
                     has);
}

/* have_of: bytes of the part that an earlier run left. */
static uint64_t
have_of(const MirrorJob *job, const MirrorFile *file)
{
    g_autofree char *name = part_name(file), *relative = store_part_path(name);
    g_autofree char *path = g_build_filename(store_location(job->store), relative, NULL);
    GStatBuf status;

    return g_stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void
note_known(const MirrorJob *job)
{
    g_hash_table_remove_all(job->notes->known);
    for (guint i = 0; i < job->files->len; i++) {
        const MirrorFile *file = g_ptr_array_index(job->files, i);

        if (file->sha512 != NULL && strcmp(file->key, file->sha512) != 0)
            g_hash_table_replace(job->notes->known, g_strdup(file->key), g_strdup(file->sha512));
    }
}

bool
mirror_files_fetch(const MirrorJob *job, GError **error)
{
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    g_autoptr(Progress) progress = NULL;
    Run run = {.job = job, .missing = missing};
    uint64_t bytes = 0, have = 0;
    bool is_ok;

    for (guint i = 0; i < job->files->len; i++) {
        MirrorFile *file = g_ptr_array_index(job->files, i);

        if (file->sha512 != NULL)
            continue;
        g_ptr_array_add(missing, file);
        bytes += file->size;
        have += MIN(have_of(job, file), file->size);
    }
    if (missing->len == 0)
        return true;
    if (!check_space(job, bytes - have, error))
        return false;
    progress = progress_new("mirror", bytes);
    progress_skip(progress, have);
    run.progress = progress;
    is_ok = pool_run(MIRROR_CONNECTIONS, missing->len, fetch_item, &run, error);
    note_known(job);
    return is_ok;
}
