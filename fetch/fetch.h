// SPDX-License-Identifier: Apache-2.0
/*
 * Images onto this host: sources with their pins, the verified catalogue, the pull pipeline and the cache of
 * verified images. Order of trust: bytes -> sign_verify_*() -> index_parse() -> digest -> decoder.
 */
#pragma once

#include "base/cli.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/progress.h"
#include "disk/disk.h"
#include "index/index.h"

/** FetchCost: what a pull fetched of an image's blocks. */
typedef struct {
    uint64_t xz, zstd; /* bytes of each codec */
    char *why;         /* (nullable) where there was a choice: what decided */
} FetchCost;

/** FetchImage: a verified image in the cache: read-only (0444), complete, ready to be a backing file. */
typedef struct {
    char *path;     /* absolute */
    char *id;       /* of its content, in the cache */
    bool is_shared; /* in the cache of this host, whose owner does not see who uses it: not to be a base */
    DiskFormat format;
    uint64_t virtual_size; /* bytes */
    char *source;          /* the source's name */
    IndexEntry *entry;     /* what the signed index says of it */
    FetchCost cost;        /* all zero where nothing was fetched by blocks */
} FetchImage;
void fetch_image_free(FetchImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FetchImage, fetch_image_free)

/**
 * fetch_image: the image @ref from the cache, pulled first where it is not there.
 * @ref: "NAME" or "SOURCE/NAME"
 * @arch: (nullable) NULL: this host's
 * @is_offline: what is in the cache, by the last verified index; no server is asked for anything
 * @out_warnings: (element-type utf8) (transfer full) (nullable): sources that could not be reached, an expired index
 * An image that this host verified before is used, with a warning, where its source cannot be reached, is refused or
 * has expired; not where the source answers and no longer offers it.
 * Errors: BASE_ERROR_USAGE, _NOT_FOUND, _UNTRUSTED, _UNAVAILABLE, _INTERRUPTED
 */
FetchImage *fetch_image(const char *ref, const char *arch, bool is_offline, GPtrArray **out_warnings,
                        GError **error);

/**
 * fetch_note_use: before the disk @path, which has @image as its base, is put into place; while the caller holds a shared
 * flock() on the image. From then on `cache prune` leaves the image alone for as long as @path is such a disk.
 */
bool fetch_note_use(const FetchImage *image, const char *path, GError **error);

/* ---- an image to somewhere else than the cache ---- */

typedef enum { FETCH_OUTPUT_FILE, FETCH_OUTPUT_DEVICE, FETCH_OUTPUT_STDOUT } FetchOutputKind;

typedef struct {
    FetchOutputKind kind;
    char *path;       /* without links; "-" for standard output */
    const char *name; /* for messages */
    bool has_format;
    DiskFormat format; /* what was asked for */
    bool may_replace;
    mode_t mode;          /* of a new file */
    Fd device;            /* open, and nobody else's; -1: none */
    uint64_t device_size; /* bytes */
    bool is_begun;        /* the device may have some of the image, and has not all of it */
} FetchOutput;
void fetch_output_clear(FetchOutput *output);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FetchOutput, fetch_output_clear)

/**
 * fetch_output_open: look at @path before anything is downloaded.
 * @format: (nullable) "raw" or "qcow2"; NULL: as the image was published, on a device raw
 * @may_replace: an existing file may be replaced, and a device that is not empty overwritten
 * Errors: BASE_ERROR_USAGE, _EXISTS; a folder, a pipe, a terminal; a device that is in use
 */
bool fetch_output_open(const char *path, const char *format, bool may_replace, FetchOutput *out_output,
                       GError **error);

/* ---- what sources offer, some of which the command line alone names ---- */

/** FetchSources: which sources. All zero: the stored ones. */
typedef struct {
    const char *const *uris;         /* (nullable) NULL-terminated: come before the stored ones */
    const char *const *fingerprints; /* (nullable) of the keys that sign them: one for each, or one for all */
    bool is_unsigned;                /* no signature of any source is looked at */
} FetchSources;

/** FetchOffer: what one of the sources offers. Borrowed. */
typedef struct {
    const char *uri;
    const char *const *pins; /* NULL-terminated; none for an unsigned source */
    const Index *index;      /* (nullable) */
    int priority;            /* of two sources with an image of one name the one with the higher is meant */
} FetchOffer;

/** FetchOffers: the verified indexes of all sources. */
typedef struct FetchOffers FetchOffers;

/**
 * fetch_offers_open: ask every source. One that only the command line names needs its public key: from the keys.asc beside
 * its index or else from the user's GnuPG keyring; what is remembered of it is bound to its URL and pins.
 * @warnings: (element-type utf8)
 * Errors: BASE_ERROR_USAGE: @sources does not fit together. A named source that fails; the trouble of a stored one is a warning
 */
FetchOffers *fetch_offers_open(const FetchSources *sources, GPtrArray *warnings, GError **error);
void fetch_offers_free(FetchOffers *offers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FetchOffers, fetch_offers_free)

unsigned fetch_offers_count(const FetchOffers *offers);
FetchOffer fetch_offers_get(const FetchOffers *offers, unsigned number);

/** FetchChoice: one image of them. Borrowed. */
typedef struct {
    unsigned number; /* of the source */
    const IndexEntry *entry;
} FetchChoice;

/**
 * fetch_offers_find: the image that @ref means, as for fetch_image(); sources that the command line named come before the
 * others, in their order.
 * @arch: (nullable) NULL: this host's
 */
bool fetch_offers_find(const FetchOffers *offers, const char *ref, const char *arch, FetchChoice *out_choice,
                       GError **error);

/** fetch_offers_is_cached: whether the image is in the cache. */
bool fetch_offers_is_cached(const FetchOffers *offers, const FetchChoice *choice);

/** fetch_offers_pull: (transfer full) the image in the cache, pulled first where it is not there. */
FetchImage *fetch_offers_pull(const FetchOffers *offers, const FetchChoice *choice, GPtrArray *warnings,
                              GError **error);

/**
 * fetch_offers_write: the image to @output, through the cache only where it has to be. A new file has its name only when it is
 * complete; what an interrupted one left lies beside it, and is gone on with.
 */
bool fetch_offers_write(const FetchOffers *offers, const FetchChoice *choice, FetchOutput *output,
                        GPtrArray *warnings, DiskFormat *out_format, GError **error);

/** fetch_forget_images: remove every image from the cache that nobody needs, and what interrupted pulls left. */
bool fetch_forget_images(uint64_t *out_left_bytes, GError **error);

/* ---- a source as somebody who copies all of it sees it ---- */

/** FetchText: one of a source's signed texts, as it was served. */
typedef struct {
    const char *
        name; /* as a repository calls it: "index", "index.asc", "index.sig", "keys.asc", "trust", "trust.sig" */
    GBytes *content; /* NULL: the source has none */
    char *etag;      /* NULL: none, or a weak one */
} FetchText;

#define FETCH_N_TEXTS 6u

/** FetchUpstream: the verified index of a source that answered just now. May be used by several threads. */
typedef struct FetchUpstream FetchUpstream;

/**
 * fetch_upstream_open: ask the source @name, whatever is known of it, and verify its index as a pull does: pins, trust,
 * expiry, no older than what was seen.
 * @warnings: (element-type utf8)
 * Errors: BASE_ERROR_NOT_FOUND, _UNTRUSTED, _UNAVAILABLE, _INTERRUPTED
 */
FetchUpstream *fetch_upstream_open(const char *name, GPtrArray *warnings, GError **error);
void fetch_upstream_free(FetchUpstream *upstream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FetchUpstream, fetch_upstream_free)

/* Each borrowed. */
const char *fetch_upstream_uri(const FetchUpstream *upstream); /* of the server that answered */
bool fetch_upstream_is_streams(const FetchUpstream *upstream);
const Index *fetch_upstream_index(const FetchUpstream *upstream);
const char *
fetch_upstream_digest(const FetchUpstream *upstream); /* of what the index says; alike for both its forms */
int64_t fetch_upstream_expires(
    const FetchUpstream *upstream); /* of the index or its signature, whichever is first; 0: never */
const GPtrArray *
fetch_upstream_problems(const FetchUpstream *upstream); /* (element-type IndexProblem) (nullable) */

/**
 * fetch_upstream_texts: all signed texts, verified where that can be, and all of one and the same version.
 * @out_texts: FETCH_N_TEXTS of them, cleared by the caller
 * Errors: BASE_ERROR_EXISTS where another version appeared meanwhile: open it again
 */
bool fetch_upstream_texts(const FetchUpstream *upstream, FetchText *out_texts, GError **error);
void fetch_text_clear(FetchText *text);

/**
 * fetch_upstream_is_unchanged: ask the source @name whether any of @texts (names and etags; those without an etag are
 * passed over) has another content now. What a server says here is not verified.
 */
bool fetch_upstream_is_unchanged(const char *name, const FetchText *texts, size_t n_texts,
                                 bool *out_is_unchanged, GError **error);

/** FetchFile: a file of a source that is fetched. Borrowed. */
typedef struct {
    const char *file; /* beside the index */
    int fd;           /* what it holds already is gone on from */
    const char *path; /* of @fd, for messages */
    uint64_t size;    /* exactly; 0: not known */
    uint64_t max_size;
    uint64_t max_rate; /* bytes per second; 0: no limit */
    Progress *total;   /* (nullable) gets what arrives */
} FetchFile;

/** fetch_upstream_download: from the server that answered, then the others. @start: how many of them to pass over first. */
bool fetch_upstream_download(const FetchUpstream *upstream, const FetchFile *file, unsigned start,
                             GError **error);

/**
 * fetch_unpack_main: what the program does when its first word is FETCH_UNPACK_OPTION, with the words after it: it then is the
 * confined process that unpacks (unpack.h), which only another virt-depot starts. Returns: an exit status
 */
#define FETCH_UNPACK_OPTION "--unpack"
int fetch_unpack_main(int argc, char **argv);

/** fetch_set_strict: from now on no image without a manifest is decoded before the digest of its whole file is known to be right. */
void fetch_set_strict(bool is_strict);

extern const Verb FETCH_VERB_SOURCE_ADD;
extern const Verb FETCH_VERB_SOURCE_LIST;
extern const Verb FETCH_VERB_SOURCE_REMOVE;
extern const Verb FETCH_VERB_LIST;
extern const Verb FETCH_VERB_INFO;
extern const Verb FETCH_VERB_PULL;
extern const Verb FETCH_VERB_OUTDATED;
extern const Verb FETCH_VERB_UPGRADE;
extern const Verb FETCH_VERB_CACHE_LIST;
extern const Verb FETCH_VERB_CACHE_VERIFY;
extern const Verb FETCH_VERB_CACHE_PRUNE;
extern const Verb FETCH_VERB_INDEX_VALIDATE;
