// SPDX-License-Identifier: Apache-2.0
/* Which operations are chosen, and which of them a path in the guest belongs to. Pure. */
#pragma once

#include "guest/guest.h"
#include "guest/seal_table.h"

#define SEAL_MAX_OPERATIONS 128u

/** SealSet: which rows of the table are chosen. */
typedef struct {
    bool has[SEAL_MAX_OPERATIONS];
} SealSet;

void seal_set_defaults(SealSet *set);

/**
 * seal_set_change: as --operations does: names separated by commas, "defaults" and "all", each with '-' in front to take it out
 * again. @is_plain: names alone, as --enable takes them. Errors: BASE_ERROR_USAGE: there is no such operation
 */
bool seal_set_change(SealSet *set, const char *list, bool is_plain, GError **error);

bool seal_set_has(const SealSet *set, const SealRow *row);

/** seal_set_has_action: whether an operation of that kind is chosen. */
bool seal_set_has_action(const SealSet *set, SealAction action);

/** SealPattern: one pattern of an operation, a home folder filled in. */
typedef struct {
    const SealRow *row;
    char *pattern;
    bool is_tree;
} SealPattern;

/** seal_patterns: (element-type SealPattern) (transfer full) of the chosen operations that are for this guest.
 * @homes: folders of users, without special characters */
GPtrArray *seal_patterns(const SealSet *set, const GuestInfo *info, const char *const *homes,
                         bool only_remade);

/** seal_glob: (transfer full) (nullable) one glob(3) pattern with braces for all of them; NULL where there are none. */
char *seal_glob(const GPtrArray *patterns);

/** seal_match: (nullable) the next pattern from number @at on that means @path; *@at becomes the one behind it. */
const SealPattern *seal_match(const GPtrArray *patterns, const char *path, bool is_folder, unsigned *at);

/** seal_homes: (transfer full) the home folders that passwd(5) text names, each once, and those that can be no pattern left out. */
char **seal_homes(const char *passwd);

/** seal_is_for: whether the operation is for this guest. */
bool seal_is_for(const SealRow *row, const GuestInfo *info);
