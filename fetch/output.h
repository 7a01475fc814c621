// SPDX-License-Identifier: Apache-2.0
/* An image to somewhere else than the cache: a file, a block device, standard output. */
#pragma once

#include "base/fd.h"
#include "fetch/pull.h"

typedef enum { OUTPUT_FILE, OUTPUT_DEVICE, OUTPUT_STDOUT } OutputKind;

typedef struct {
    OutputKind kind;
    char *path;       /* without links; "-" for standard output */
    const char *name; /* for messages */
    bool has_format;
    DiskFormat format; /* what was asked for */
    bool may_replace;
    mode_t mode;          /* of a new file */
    Fd device;            /* open, and nobody else's; -1: none */
    uint64_t device_size; /* bytes */
    bool is_begun;        /* the device may have some of the image, and has not all of it */
} Output;
void output_clear(Output *output);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Output, output_clear)

/**
 * output_open: look at @path before anything is downloaded.
 * @format: (nullable) "raw" or "qcow2"; NULL: as the image was published, on a device raw
 * @may_replace: an existing file may be replaced, and a device that is not empty overwritten
 * Errors: BASE_ERROR_USAGE, _EXISTS; a folder, a pipe, a terminal; a device that is in use
 */
bool output_open(const char *path, const char *format, bool may_replace, Output *out_output, GError **error);

/**
 * output_pull: the image of @entry, which passes pull_check(), to @output. From the cache if it is there; else, where it has a
 * manifest, straight from the server, block by block, without a copy in the cache; else through the cache. A new file has its
 * name only when it is complete. What an interrupted pull leaves lies beside it under a hidden name, and the next one goes on
 * with it.
 * @out_cost: all zero before; its text is the caller's
 * Errors: as pull_entry()
 */
bool output_pull(Output *output, const Catalogue *catalogue, const IndexEntry *entry, const PullWish *wish,
                 GPtrArray *warnings, DiskFormat *out_format, FetchCost *out_cost, GError **error);
