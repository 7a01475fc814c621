// SPDX-License-Identifier: Apache-2.0
/* One image on its way into the cache, under its lock: what the ways to fetch it share. */
#pragma once

#include "fetch/cache.h"
#include "fetch/catalogue.h"
#include "fetch/codec.h"
#include "fetch/fetch.h"

typedef struct {
    const Catalogue *catalogue;
    const IndexEntry *entry;
    CacheKey key;
    bool
        is_strict; /* without a manifest nothing is decoded before the whole file's digest is known to be right */
    CodecWish codec;
    GPtrArray *warnings; /* (element-type utf8) */
    FetchCost *cost;     /* (nullable) is added to */
    const char *folder;  /* (nullable) where the image is written; NULL: the cache */
} Job;
void job_clear(Job *job);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

/** job_urls: (transfer full) @file, relative to the index, on each server of the source: first the one that the index came
 * from. */
char **job_urls(const Job *job, const char *file);

/** job_max_unpacked: how large the image's file may be where the index does not say it exactly: the file to download, and
 * what comes out of it. */
uint64_t job_max_unpacked(const Job *job);

/** job_check_space: BASE_ERROR_FAILED unless @needed bytes are free where the image is written. */
bool job_check_space(const Job *job, uint64_t needed, GError **error);

typedef enum {
    JOB_FAILED, /* with an error */
    JOB_DONE,
    JOB_NOT_SO, /* it cannot be done this way: take the other one */
} JobResult;

/**
 * whole_fetch: the published file: download (resumed), digest, and the decoder, into the new file @path, which is the image
 * only once this succeeds. What was downloaded stays for the next time, unless it is wrong; and a manifest, where one can be made
 * (local_manifest.h). Returns: an owned descriptor of @path; -1: there is no such file
 */
int whole_fetch(const Job *job, const char *path, GError **error);

/**
 * manifest_fetch: what lies where in the published file, as the signed index vouches for it: from the cache, where it is kept
 * beside the image, or from the servers. Where the entry names none, one that was made here when the image was pulled before
 * (local_manifest.h). JOB_NOT_SO: there is none, nobody has it, or it is of no use here.
 * Errors: BASE_ERROR_UNTRUSTED where every server has a wrong one; as net_get()
 */
JobResult manifest_fetch(const Job *job, DiskManifest **out_manifest, GError **error);

/**
 * manifest_fetch_twin: (transfer full) (nullable) the same image as zstd, block by block as in @manifest; NULL where there is
 * none that can be used: why is a warning of the job.
 * @out_file: (transfer full) relative to the index
 */
DiskManifest *manifest_fetch_twin(const Job *job, const DiskManifest *manifest, char **out_file);

/**
 * blocks_fetch: by @manifest into @target, which may have any part of the image already: only blocks that are not there
 * are fetched, from the codec that brings them sooner where there are two, each is compared with its digest before it is decoded,
 * and holes are neither fetched nor written. What is
 * there after a failure is kept for the next time. JOB_NOT_SO: no server answers range requests.
 */
JobResult blocks_fetch(const Job *job, const DiskManifest *manifest, const DiskTarget *target,
                       GError **error);

/** blocks_fetch_only: the same, but only the blocks that are not @is_good are fetched, into the empty @target. */
JobResult blocks_fetch_only(const Job *job, const DiskManifest *manifest, const bool *is_good,
                            const DiskTarget *target, GError **error);
