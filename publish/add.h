// SPDX-License-Identifier: Apache-2.0
/*
 * What `repo add` does to its images, step by step. Every step works on all images that have not failed yet; what goes wrong
 * with one is kept in its @error, and it takes no further part.
 */
#pragma once

#include "publish/delta.h"
#include "publish/entry.h"
#include "publish/image.h"
#include "publish/packing.h"
#include "publish/repo.h"

#define PUBLISH_MAX_IMAGES 200u /* in one run: each holds up to five files open, and 1024 is a usual limit */

/** PublishItem: one image on its way. */
typedef struct {
    char *path;       /* "-": standard input */
    PublishWish wish; /* its name is owned by the item */
    char *name;
    PublishImage image;
    GuestInfo *guest;    /* (nullable) not looked into */
    PublishPacking xz;   /* what every client reads */
    PublishPacking zstd; /* where @has_twin */
    bool has_twin;
    GPtrArray *bases;        /* (element-type PublishBase) (nullable) */
    GPtrArray *deltas;       /* (element-type PublishDelta) */
    GPtrArray *delta_notes;  /* (element-type utf8) why there is none from a base */
    GBytes *grains;          /* (nullable) to keep for the next revision */
    const IndexEntry *entry; /* (nullable) in the index that was written last; borrowed from it */
    GError *error;
    bool is_told; /* whoever reports has reported @error */
} PublishItem;
PublishItem *publish_item_new(const char *name, const char *path);
void publish_item_free(PublishItem *item);

/**
 * publish_item_parse: an argument of `repo add`: "FILE", or "NAME=FILE" where NAME is an image name (so that "./a=b" is a
 * file). Without a name in it @out_name is the file's name less ".raw", ".img", ".qcow2", ".vmdk", ".vhdx", ".vhd", ".vdi".
 * Pure. @out_is_named: whether the argument says the name
 */
void publish_item_parse(const char *argument, char **out_name, char **out_path, bool *out_is_named);

/** PublishAdd: one run. */
typedef struct {
    PublishRepo *repo; /* borrowed */
    GPtrArray *items;  /* (element-type PublishItem) borrowed */
    PublishInput input;
    GuestAccel accel;
    unsigned threads;
    unsigned valid_days;
    unsigned max_deltas; /* from how many revisions back */
    bool wants_twin;     /* each image as zstd too; else those that had one before, unless @drops_twin */
    bool drops_twin;
    bool want_sbom;
    bool keep_going; /* publish what can be, whatever happens to the rest */
} PublishAdd;

/** publish_add_open: open, copy and convert what has to be. Returns false after Ctrl-C only. */
bool publish_add_open(PublishAdd *add, GError **error);

/** publish_add_inspect: look inside. @out_reason: as in guest_inspect(). Returns false after Ctrl-C only. */
bool publish_add_inspect(PublishAdd *add, char **out_reason, GError **error);

/**
 * publish_add_check: whatever can be refused is refused before the minutes of compressing; find the revisions before.
 * @out_index: (transfer full): the index as it would be, for a dry run; the items' entries are in it
 * @out_notes: (element-type utf8) (transfer full): why a revision before cannot be used
 */
bool publish_add_check(PublishAdd *add, Index **out_index, GPtrArray **out_notes, GError **error);

/** publish_add_compress: each image into an upload of its own. Returns false after Ctrl-C only. */
bool publish_add_compress(PublishAdd *add, GError **error);

/**
 * publish_add_finish: under the store's lock: blobs into place, then the index as it is now with the new entries, signed
 * once. @out_index: (transfer full): what was published
 */
bool publish_add_finish(PublishAdd *add, Index **out_index, GError **error);
