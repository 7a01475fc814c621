// SPDX-License-Identifier: Apache-2.0
/* One entry of a verified index into the cache. */
#pragma once

#include "fetch/catalogue.h"
#include "fetch/fetch.h"

/**
 * pull_entry: (transfer full) the image of @entry: from the cache, else downloaded, compared with its digest,
 * decompressed, checked and published there.
 * Errors: BASE_ERROR_UNTRUSTED where the catalogue or the file is refused; as net_download(); _INTERRUPTED
 */
FetchImage *pull_entry(const Catalogue *catalogue, const IndexEntry *entry, GError **error);

/** pull_cached: (transfer full) (nullable) the image of @entry, if it is in the cache. */
FetchImage *pull_cached(const char *source, const IndexEntry *entry);
