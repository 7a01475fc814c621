// SPDX-License-Identifier: Apache-2.0
/* What a repository's versions mean for each other: which blobs they need, which may go, and what bringing an
 * old one back has to say. Pure. */
#pragma once

#include "index/index.h"
#include "publish/publish.h"
#include "store/store.h"

/**
 * publish_add_references: the blobs that @index needs, into @blobs, a set of paths "blobs/sha512/ab/HEX": each
 * entry's file, and each extension field whose value is a blob's path (manifests, package lists).
 */
void publish_add_references(GHashTable *blobs, const Index *index);

/** publish_is_same_content: whether two versions publish the same, apart from their number and dates. */
bool publish_is_same_content(const Index *first, const Index *second);

/**
 * publish_choose_resigned: (element-type guint64) the versions that only repeated the content of the one after
 * them: nothing is lost with them. The newest @keep stay.
 * @indexes: (element-type Index) of the @generations, NULL where one could not be read: it stays
 */
GArray *publish_choose_resigned(const GArray *generations, const GPtrArray *indexes, unsigned keep);

/**
 * publish_roll_back: make @index publish what @old did. No client may see a revision again with other content,
 * nor a lower one: an image whose content is not that of its highest known revision gets the next one.
 * @known: (element-type Index) every version that is kept, @index included
 */
void publish_roll_back(Index *index, const Index *old, const GPtrArray *known);

/** publish_is_half_over: whether at @now (unix seconds) half of the time is over for which @index was signed. */
bool publish_is_half_over(const Index *index, int64_t now);
