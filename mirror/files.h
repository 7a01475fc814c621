// SPDX-License-Identifier: Apache-2.0
/* Files of a source into the blobs of a folder: what is there already, what has to come, and that it is what it should be. */
#pragma once

#include "fetch/fetch.h"
#include "mirror/notes.h"
#include "mirror/wants.h"

#define MIRROR_CONNECTIONS 4u /* files at once, as many connections as a pull has */

/** MirrorJob: what and where. Borrowed. */
typedef struct {
    Store *store; /* NULL: nothing is there yet, and nothing will be written */
    const FetchUpstream *upstream;
    MirrorNotes *notes;
    GPtrArray *files;  /* (element-type MirrorFile) */
    bool want_digests; /* look at every byte of what is there, not at sizes alone */
    uint64_t max_rate; /* bytes per second; 0: no limit */
} MirrorJob;

/** MirrorSum: files and bytes; those of unstated size count as files only. */
typedef struct {
    unsigned files;
    uint64_t bytes;
} MirrorSum;

/** mirror_files_look: set .sha512 and .got of each that is there. Fails after Ctrl-C only. */
bool mirror_files_look(const MirrorJob *job, MirrorSum *out_here, MirrorSum *out_missing, GError **error);

/**
 * mirror_files_fetch: fetch the rest, several at once, each resumed where an earlier run stopped. A failure is noted in the
 * file's .error and does not stop the others.
 * Errors: too little space; after Ctrl-C
 */
bool mirror_files_fetch(const MirrorJob *job, GError **error);

/** mirror_files_missing: how many are not there. @out_first: (nullable) why the first of them is not. */
unsigned mirror_files_missing(const GPtrArray *files, const MirrorFile **out_first);
