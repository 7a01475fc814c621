// SPDX-License-Identifier: Apache-2.0
/* One entry of a verified index into the cache. */
#pragma once

#include "fetch/catalogue.h"
#include "fetch/codec.h"
#include "fetch/fetch.h"

/** PullWish: what the user asked for beside the image. All zero: nothing. */
typedef struct {
    bool may_downgrade; /* to a lower revision than was pulled before */
    CodecWish codec;    /* for an image that is published in two */
} PullWish;

/**
 * pull_check: whether @entry may be pulled at all: nothing may under a catalogue that is refused, and no lower
 * revision of an image than this host pulled before.
 * @may_downgrade: the user asked for a lower revision
 * Errors: BASE_ERROR_UNTRUSTED
 */
bool pull_check(const Catalogue *catalogue, const IndexEntry *entry, bool may_downgrade, GError **error);

/**
 * pull_entry: (transfer full) the image of @entry, which passes pull_check(): from the cache, else downloaded,
 * compared with its digests, decompressed, checked and published there.
 * @warnings: (element-type utf8): servers that sent wrong bytes, and the like; also after a failure
 * Errors: BASE_ERROR_UNTRUSTED where pull_check() or the file is refused; as net_download(); _INTERRUPTED
 */
FetchImage *pull_entry(const Catalogue *catalogue, const IndexEntry *entry, const PullWish *wish,
                       GPtrArray *warnings, GError **error);

/** pull_cached: (transfer full) (nullable) the image of @entry, if it is in the cache. */
FetchImage *pull_cached(const char *source, const IndexEntry *entry);

/** pull_check_info: whether @info, of an image that was fetched, is what @entry says. Errors: BASE_ERROR_UNTRUSTED */
bool pull_check_info(const IndexEntry *entry, const DiskInfo *info, GError **error);

/** pull_record: remember that @entry was pulled, for pull_check(). @may_downgrade: as for pull_entry() */
bool pull_record(const Catalogue *catalogue, const IndexEntry *entry, bool may_downgrade, GError **error);
