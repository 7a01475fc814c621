// SPDX-License-Identifier: Apache-2.0
/* Which images of this host have a newer revision at their source. */
#pragma once

#include "fetch/catalogue.h"
#include "fetch/record.h"

typedef struct {
    uint64_t have; /* the highest revision in the cache */
    const Catalogue *catalogue;
    const IndexEntry *entry; /* what the source offers; borrowed from it */
} Outdated;

/**
 * outdated_find: (transfer full) (element-type Outdated) of the images @recorded those whose own source offers a higher
 * revision of the same name and architecture, and may be believed. Pure.
 * @recorded: (element-type Recorded)
 * @catalogues: (element-type Catalogue)
 */
GPtrArray *outdated_find(const GPtrArray *recorded, const GPtrArray *catalogues);
