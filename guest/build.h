// SPDX-License-Identifier: Apache-2.0
/* A new disk of an image: written, grown and customized in one appliance launch, and only then put into place. */
#pragma once

#include "fetch/fetch.h"
#include "guest/guest.h"

/** BuildRequest: borrowed strings. */
typedef struct {
    FetchSources sources;
    const char *image;   /* name or alias */
    const char *arch;    /* (nullable) NULL: this host's */
    const char *format;  /* "raw", "qcow2"; NULL: raw */
    const char *output;  /* file, block device, "-"; NULL: NAME.img or NAME.FORMAT in the current folder */
    uint64_t size_bytes; /* 0: the image's, or the device's */
    GuestOps *ops;       /* after which root gets a random password if they give it none */
    bool is_plain;       /* none of that: the image as it was published, but for its size */
    bool may_replace;
    bool has_cache;        /* false: nothing is kept in the cache */
    bool keeps_failed;     /* a disk that could not be finished takes its name nevertheless */
    bool is_unsynced;      /* done without waiting for the disk */
    bool may_be_partition; /* no warning where the device is one */
    bool is_dry_run;       /* look and decide, and make nothing */
    GuestRun run;
} BuildRequest;

typedef struct {
    char *path; /* "-" for standard output */
    DiskFormat format;
    uint64_t virtual_size; /* bytes; 0: not known before the image is here */
    char *image, *uri;     /* what it is made of, and where that comes from */
    uint64_t revision;
} BuildResult;
void build_result_clear(BuildResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BuildResult, build_result_clear)

/**
 * build_image: everything that can be refused is, before anything is downloaded. The output has its name, mode 0600, only when
 * it is complete; what a killed run left beside it goes in the next one.
 * @warnings: (element-type utf8)
 * Errors: BASE_ERROR_USAGE, _EXISTS, _NOT_FOUND, _UNTRUSTED, _UNAVAILABLE, _INTERRUPTED; the operation that failed
 */
bool build_image(const BuildRequest *request, BuildResult *out_result, GPtrArray *warnings, GError **error);

/** build_output_name: (transfer full) virt-builder's default: "NAME.img" for raw, else "NAME.FORMAT". Pure. */
char *build_output_name(const char *image, const char *format);
