// SPDX-License-Identifier: Apache-2.0
/* Images in, repository out: inspect, compress, checksum, sign, switch. */
#pragma once

#include "base/cli.h"
#include "index/index.h"
#include "store/store.h"

extern const Verb PUBLISH_VERB_REPO_INIT;
extern const Verb PUBLISH_VERB_REPO_ADD;
extern const Verb PUBLISH_VERB_REPO_LIST;
extern const Verb PUBLISH_VERB_REPO_REMOVE;
extern const Verb PUBLISH_VERB_REPO_SIGN;
extern const Verb PUBLISH_VERB_REPO_CHECK;
extern const Verb PUBLISH_VERB_REPO_PRUNE;
extern const Verb PUBLISH_VERB_REPO_ROLLBACK;
extern const Verb PUBLISH_VERB_PUSH;
extern const Verb PUBLISH_VERB_KEY_CREATE;
extern const Verb PUBLISH_VERB_KEY_SHOW;
extern const Verb PUBLISH_VERB_KEY_EXPORT;
extern const Verb PUBLISH_VERB_KEY_ROTATE;
extern const Verb PUBLISH_VERB_KEY_REVOKE;
extern const Verb PUBLISH_VERB_TRUST_DRAFT;
extern const Verb PUBLISH_VERB_TRUST_SIGN;
extern const Verb PUBLISH_VERB_TRUST_PUBLISH;

/* ---- for whoever keeps versions that another publisher made ---- */

/**
 * publish_add_text_references: the same from the bytes of an index that nobody verified: every line's value that has
 * the form of a blob's path. For deciding what to keep, where one too many does no harm.
 */
void publish_add_text_references(GHashTable *blobs, GBytes *text);

/**
 * publish_choose_old: (element-type guint64) the versions that may go: not among the newest @keep, and replaced
 * by their successor before @before.
 * @generations: (element-type StoreGeneration) oldest first
 * @before: unix seconds
 */
GArray *publish_choose_old(const GArray *generations, unsigned keep, int64_t before);

/* The extension fields of an entry that was taken over: where it comes from, and what told its file apart there. */
#define PUBLISH_ORIGIN "x_mirror"
#define PUBLISH_ORIGIN_KEY "x_mirror_key"

/** PublishImport: a repository of ours that takes over entries that others published. */
typedef struct PublishImport PublishImport;

/**
 * publish_import_open: the repository at @dir, whose signing key must be on this host, with its lock held.
 * @is_dry: only to look at it: no lock
 * Errors: BASE_ERROR_EXISTS where somebody else is publishing there
 */
PublishImport *publish_import_open(const char *dir, bool is_dry, GError **error);
void publish_import_free(PublishImport *import);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PublishImport, publish_import_free)

Store *publish_import_store(const PublishImport *import);       /* borrowed */
const Index *publish_import_index(const PublishImport *import); /* as it is now; borrowed */

/** publish_import_has_own: whether a version that is kept has an image that did not come from elsewhere, or cannot be read. */
bool publish_import_has_own(PublishImport *import);

/** PublishWork: what a file has to go through that others published as no client of ours reads it: borrowed. */
typedef struct {
    const char *path; /* of the image, verified */
    unsigned threads;
} PublishWork;

/**
 * publish_import_pack: the raw or qcow2 image at @work->path as a file of ours, with a manifest, and @entry about it: file,
 * digests, format and sizes.
 */
bool publish_import_pack(PublishImport *import, const PublishWork *work, IndexEntry *entry, GError **error);

/**
 * publish_import_finish: publish @entries, whose files are blobs here already, in place of all that came from @origin before.
 * Revisions go on where they must: no client may see one again with other content. Where nothing is new the index is only
 * signed again, and that once half of its time is over.
 * @entries: (element-type IndexEntry) with PUBLISH_ORIGIN set
 * @out_changed: whether there is another version now
 * Errors: BASE_ERROR_EXISTS where the repository has an image of that name from somewhere else
 */
bool publish_import_finish(PublishImport *import, const char *origin, const GPtrArray *entries,
                           bool *out_changed, GError **error);
