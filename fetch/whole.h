// SPDX-License-Identifier: Apache-2.0
/* The file of an image as a whole: what whole.c and stream.c share. */
#pragma once

#include "fetch/job.h"
#include "fetch/unpack.h"

typedef struct {
    const Job *job;
    char *path; /* of the partial download: it only ever grows at its end, so its size is where to go on */
    int fd;
    char *out_path; /* of the image */
    int out;
} Whole;

/** whole_unpack_start: the confined process; @tail: (nullable) what will be the end of the file. */
Unpack *whole_unpack_start(const Whole *whole, uint64_t size, GBytes *tail, GError **error);

/**
 * whole_unpack: from the complete file, whose digest is right, to the image.
 * @unpack: (nullable) (transfer full) a process that has begun already
 */
bool whole_unpack(const Whole *whole, Unpack *unpack, GError **error);

/** whole_wrong: BASE_ERROR_UNTRUSTED: the file is not the one that the index names. Returns: false always */
bool whole_wrong(const Whole *whole, GError **error);

/**
 * stream_fetch: the file by ranges over several connections, its digest on the way, and unless the job is strict the process that
 * unpacks beside it; then the image. JOB_NOT_SO: no server answers range requests; the image is empty then.
 */
JobResult stream_fetch(const Whole *whole, GError **error);
