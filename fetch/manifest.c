// SPDX-License-Identifier: Apache-2.0
/*
 * The manifest of an entry's file: its digest stands in the signed index, so wherever it comes from it is compared with that
 * before it is parsed.
 */
#include "fetch/job.h"

#include "base/cli.h"
#include "base/file.h"
#include "fetch/access.h"
#include "fetch/local_manifest.h"
#include "net/net.h"

#include <string.h>

static bool
is_right(GBytes *bytes, const char *digest)
{
    g_autofree char *actual =
        digest_bytes(DIGEST_SHA512, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));

    return g_ascii_strcasecmp(actual, digest) == 0;
}

static GBytes *
read_cached(const Job *job, const char *digest)
{
    g_autofree char *path = cache_manifest_path(&job->key);
    g_autoptr(GBytes) bytes = file_read(path, DISK_MANIFEST_MAX_BYTES, NULL);

    return bytes != NULL && is_right(bytes, digest) ? g_steal_pointer(&bytes) : NULL;
}

/* Whether the next server may have what this one has not. */
static bool
may_go_on(const Job *job, const GError *problem, bool is_last)
{
    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED))
        return false;
    if (!is_last)
        g_ptr_array_add(job->warnings, g_strdup(problem->message));
    return true;
}

static bool
download_one(const char *url, const char *digest, const NetLimits *limits, GBytes **out_bytes, GError **error)
{
    g_auto(NetReply) reply = {0};

    if (!net_get(url, DISK_MANIFEST_MAX_BYTES, NULL, limits, &reply, error))
        return false;
    if (!is_right(reply.body, digest))
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: the manifest does not have the digest that the index states, so it was altered or "
            "damaged on the way",
            url);
    *out_bytes = g_steal_pointer(&reply.body);
    return true;
}

/* NULL with the first server's error; NOT_FOUND only where no server has it. */
static GBytes *
download(const Job *job, const char *blob, const char *digest, GError **error)
{
    g_auto(GStrv) urls = job_urls(job, blob);
    g_autoptr(GError) first = NULL;
    g_auto(NetAccess) access = {0};
    NetLimits limits;
    GBytes *bytes = NULL;

    if (!access_init(job->catalogue->source, &access, &limits, error))
        return NULL;
    for (unsigned i = 0; urls[i] != NULL; i++) {
        g_autoptr(GError) problem = NULL;

        if (download_one(urls[i], digest, &limits, &bytes, &problem))
            return bytes;
        if (!may_go_on(job, problem, urls[i + 1] == NULL)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        if (first == NULL || g_error_matches(first, BASE_ERROR, BASE_ERROR_NOT_FOUND)) {
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
        }
    }
    g_propagate_error(error, g_steal_pointer(&first));
    return NULL;
}

/* The index vouches for both, so a contradiction is the publisher's mistake; the file as a whole has a digest of its own. */
static bool
fits(const Job *job, const DiskManifest *manifest)
{
    const IndexEntry *entry = job->entry;
    bool is_raw = g_strcmp0(entry->format, "raw") == 0;

    return manifest->codec == DISK_XZ && manifest->raw_size > 0 &&
           manifest->raw_size <= job_max_unpacked(job) &&
           (entry->compressed_size == 0 || manifest->packed_size == entry->compressed_size) &&
           (!is_raw || entry->size == 0 || manifest->raw_size == entry->size);
}

static DiskManifest *
parse(const Job *job, GBytes *bytes)
{
    g_autofree char *name = g_strdup_printf("manifest of %s", job->entry->name);
    g_autoptr(GError) problem = NULL;
    g_autoptr(DiskManifest) manifest =
        disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, &problem);

    if (manifest != NULL && !fits(job, manifest))
        error_set(&problem, "%s: it does not fit what the index says of the image", name);
    if (problem == NULL)
        return g_steal_pointer(&manifest);
    g_ptr_array_add(job->warnings, g_strdup_printf("%s; the image is fetched without it", problem->message));
    return NULL;
}

/* One that was made when the image was pulled before: then only the blocks that are missing or damaged are fetched. */
static JobResult
use_local(const Job *job, DiskManifest **out_manifest)
{
    g_autoptr(DiskManifest) manifest = local_manifest_read(&job->key);

    if (manifest == NULL || !fits(job, manifest))
        return JOB_NOT_SO;
    *out_manifest = g_steal_pointer(&manifest);
    return JOB_DONE;
}

JobResult
manifest_fetch(const Job *job, DiskManifest **out_manifest, GError **error)
{
    const char *blob = index_entry_extension(job->entry, INDEX_MANIFEST);
    const char *digest = blob != NULL ? cache_blob_digest(blob) : NULL;
    g_autofree char *path = cache_manifest_path(&job->key);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) problem = NULL;

    if (digest == NULL)
        return use_local(job, out_manifest);
    bytes = read_cached(job, digest);
    if (bytes == NULL && job->catalogue->is_offline)
        return JOB_NOT_SO;
    if (bytes == NULL) {
        bytes = download(job, blob, digest, &problem);
        if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
            return JOB_NOT_SO; /* a mirror of the images alone */
        if (bytes == NULL) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return JOB_FAILED;
        }
        if (!file_write_atomic(path, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0644, error))
            return JOB_FAILED;
    }
    *out_manifest = parse(job, bytes);
    return *out_manifest != NULL ? JOB_DONE : JOB_NOT_SO;
}

/* ---- the twin ---- */

static DiskManifest *
parse_twin(const Job *job, GBytes *bytes, const DiskManifest *manifest, GError **error)
{
    g_autofree char *name = g_strdup_printf("manifest of %s as zstd", job->entry->name);
    g_autoptr(DiskManifest) twin =
        disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, error);

    if (twin == NULL)
        return NULL;
    if (twin->codec != DISK_ZSTD || !disk_manifest_is_twin(manifest, twin)) {
        error_set(error, "%s: it is of another image", name);
        return NULL;
    }
    return g_steal_pointer(&twin);
}

DiskManifest *
manifest_fetch_twin(const Job *job, const DiskManifest *manifest, char **out_file)
{
    const char *file = index_entry_extension(job->entry, INDEX_ZSTD);
    const char *blob = index_entry_extension(job->entry, INDEX_ZSTD_MANIFEST);
    const char *digest =
        file != NULL && blob != NULL && cache_blob_digest(file) != NULL ? cache_blob_digest(blob) : NULL;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = digest != NULL ? download(job, blob, digest, &problem) : NULL;
    DiskManifest *twin = bytes != NULL ? parse_twin(job, bytes, manifest, &problem) : NULL;

    if (twin != NULL)
        *out_file = g_strdup(file);
    else if (problem != NULL && !g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED))
        g_ptr_array_add(job->warnings, g_strdup_printf("%s; the image is fetched as xz", problem->message));
    return twin;
}
