// SPDX-License-Identifier: Apache-2.0
/* Which images of a source are taken. Pure. */
#pragma once

#include "index/index.h"

/** MirrorChoice: NULL and 0 choose all. Borrowed. */
typedef struct {
    const char *const
        *images; /* NULL-terminated patterns with '*' and '?': a name or an alias has to match one of them */
    const char *const *os_infos; /* the same for osinfo */
    const char *arch;            /* as index_normal_arch() gives it */
    unsigned newest;             /* so many versions of each operating system */
} MirrorChoice;

/**
 * mirror_choose: (transfer container) (element-type IndexEntry) the entries of @index that are chosen, in its order; borrowed
 * from it. What is said of newest versions holds for what the patterns leave. An operating system is what osinfo, or else the
 * name, says less the number at its end; images that have no such number are all taken.
 */
GPtrArray *mirror_choose(const Index *index, const MirrorChoice *choice);
