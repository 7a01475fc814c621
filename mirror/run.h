// SPDX-License-Identifier: Apache-2.0
/* One run of `mirror`: what was asked for, and what became of it. */
#pragma once

#include "mirror/choose.h"
#include "mirror/files.h"

#define MIRROR_KEEP 2u
#define MIRROR_MAX_KEEP 1000000u

/** MirrorOptions: borrowed. */
typedef struct {
    const char *source;
    const char *dir;
    unsigned keep;      /* versions, 1 to MIRROR_MAX_KEEP */
    bool is_keep_asked; /* by the user; else it is MIRROR_KEEP */
    int64_t grace;      /* seconds */
    uint64_t max_rate;
    bool want_digests;
    bool is_dry;
    MirrorChoice choice; /* of what is signed anew */
} MirrorOptions;

/** MirrorReport: what happened, or what would. */
typedef struct {
    bool is_changed;  /* a version was published here */
    bool is_unasked;  /* the source says that nothing changed, and nothing else was asked */
    uint64_t version; /* that is current here now; 0: none */
    unsigned images;
    MirrorSum fetched, kept, removed;
    unsigned versions_removed;
    GPtrArray *missing;  /* (element-type utf8) "IMAGE: why" of what is not here */
    GPtrArray *warnings; /* (element-type utf8) */
} MirrorReport;
void mirror_report_clear(MirrorReport *report);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MirrorReport, mirror_report_clear)

/** mirror_verbatim: texts and files as they are. The report says what is missing where it fails. */
bool mirror_verbatim(const MirrorOptions *options, MirrorReport *report, GError **error);

/**
 * mirror_own: the chosen images into a repository of ours, with its index and key. What cannot be had is missing there, or
 * stays as it was; the rest is published, and then it fails.
 */
bool mirror_own(const MirrorOptions *options, MirrorReport *report, GError **error);

/**
 * mirror_report_files: note why files are not there, and what was fetched.
 * Errors: one that speaks of all that are missing, with the code of the first: BASE_ERROR_UNTRUSTED where any is
 */
bool mirror_report_files(MirrorReport *report, const GPtrArray *files, const MirrorSum *here, GError **error);

/**
 * mirror_prune: forget old versions of the mirror in @store, and remove names and files that nothing needs any more.
 */
bool mirror_prune(Store *store, MirrorNotes *notes, const MirrorOptions *options, MirrorReport *report,
                  GError **error);

/** mirror_needed: (transfer full) (element-type utf8) the set of the blobs that any version in @store needs. */
GHashTable *mirror_needed(Store *store, GError **error);

/** mirror_is_complete: whether every file that the current version needs is there. */
bool mirror_is_complete(Store *store, MirrorSum *out_files, GError **error);
