// SPDX-License-Identifier: Apache-2.0
/* An image to somewhere else than the cache: a file, a block device, standard output (FetchOutput, fetch.h). */
#pragma once

#include "fetch/pull.h"

/**
 * output_pull: the image of @entry, which passes pull_check(), to @output. From the cache if it is there; else, where it has a
 * manifest, straight from the server, block by block, without a copy in the cache; else through the cache. A new file has its
 * name only when it is complete. What an interrupted pull leaves lies beside it under a hidden name, and the next one goes on
 * with it.
 * @out_cost: all zero before; its text is the caller's
 * Errors: as pull_entry()
 */
bool output_pull(FetchOutput *output, const Catalogue *catalogue, const IndexEntry *entry,
                 const PullWish *wish, GPtrArray *warnings, DiskFormat *out_format, FetchCost *out_cost,
                 GError **error);
