// SPDX-License-Identifier: Apache-2.0
/*
 * Unpacking an .xz in a process of its own, confined by sandbox.h: it may begin before anyone knows whether the bytes are right. What
 * it wrote and said counts only for who finds afterwards that they were.
 */
#pragma once

#include "base/progress.h"
#include "disk/disk.h"

typedef struct {
    const char *name; /* the image's, for messages */
    const char *path; /* the .xz file, which grows from its start on, without holes */
    uint64_t size;    /* that it will have */
    GBytes *tail;     /* (nullable) its last bytes, where they are known already: the index is there */
    int out_fd;       /* an empty file */
    uint64_t max_raw; /* that it may unpack to */
} UnpackJob;

typedef enum {
    UNPACK_DONE,
    UNPACK_FAILED, /* with an error: what the file is, or what the system says */
    UNPACK_DIED,   /* with an error: killed, for whatever reason */
} UnpackEnd;

typedef struct Unpack Unpack;

/** unpack_start: on all cores. */
Unpack *unpack_start(const UnpackJob *job, GError **error);

/** unpack_wake: the file has grown. */
void unpack_wake(Unpack *unpack);

/** unpack_used: how many bytes of the file have gone through the decoder, as far as it says. */
uint64_t unpack_used(const Unpack *unpack);

/**
 * unpack_wait: until it ends; the file must be complete.
 * @out_manifest: (transfer full) (nullable): where a manifest can describe the file
 * Errors: also BASE_ERROR_INTERRUPTED
 */
UnpackEnd unpack_wait(Unpack *unpack, Progress *progress, DiskManifest **out_manifest, GError **error);

/** unpack_free: kill it if it runs. */
void unpack_free(Unpack *unpack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Unpack, unpack_free)

/* ---- between the two processes ---- */

/* The numbers of the child's open files. 0 is a socket: a byte means that the file has grown, its end that nobody waits any
 * more; 1 and 2 are /dev/null. */
enum {
    UNPACK_FD_WAKE = 0,
    UNPACK_FD_PART = 3,
    UNPACK_FD_TAIL,
    UNPACK_FD_OUT,
    UNPACK_FD_REPORT,
    UNPACK_N_FDS
};

/** UnpackReport: how the report starts; then come @size bytes: the manifest, if there is one, or an error's text. */
typedef struct {
    uint64_t used;
    uint32_t state; /* UNPACK_REPORT_* */
    uint32_t size;
} UnpackReport;
enum { UNPACK_REPORT_NOTHING, UNPACK_REPORT_DONE, UNPACK_REPORT_ERROR };
#define UNPACK_REPORT_MAX (sizeof(UnpackReport) + DISK_MANIFEST_MAX_BYTES)
