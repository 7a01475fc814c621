// SPDX-License-Identifier: Apache-2.0
/* Removing images and litter from the cache, so that nothing that is needed goes. */
#pragma once

#include "fetch/contents.h"

/** PruneLine: one thing that was removed, or that the rule names and that stays. */
typedef struct {
    char *id, *name, *path;
    uint64_t disk_bytes;
    char *reason; /* NULL: removed */
} PruneLine;

typedef struct {
    GPtrArray *lines;    /* (element-type PruneLine) */
    uint64_t left_bytes; /* what all images and partial work take now */
    unsigned
        n_doubted; /* images that were to go and stay, as it cannot be told whether somebody needs them */
    char *doubt;   /* (nullable) why, of the first of those, and what to do */
} PruneResult;
void prune_result_clear(PruneResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PruneResult, prune_result_clear)

/**
 * prune_cache: remove the images that prune_choose() names and nobody needs. An image that is to go is locked before its
 * users are looked for a last time; who deploys it at that moment finds it locked. One of which that cannot be told stays.
 * @litter_age: seconds; partial work that nobody holds goes once it was not touched for longer
 */
bool prune_cache(const PruneRule *rule, int64_t litter_age, bool is_dry_run, PruneResult *out_result,
                 GError **error);
