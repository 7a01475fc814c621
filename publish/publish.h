// SPDX-License-Identifier: Apache-2.0
/* Images in, repository out: inspect, compress, checksum, sign, switch. */
#pragma once

#include "base/cli.h"
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
