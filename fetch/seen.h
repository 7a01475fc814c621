// SPDX-License-Identifier: Apache-2.0
/* The highest index version that this host has seen of each repository: an older one is a rollback. */
#pragma once

#include "index/index.h"

/**
 * seen_highest: the highest version recorded for (@index's repo-id, @fingerprint); 0 where nothing is recorded, or
 * where the index has no repo-id.
 * @fingerprint: (nullable) NULL: the source is unsigned
 * Errors: a record that is there but cannot be read: rollback protection must not be lost in silence
 */
bool seen_highest(const Index *index, const char *fingerprint, uint64_t *out_version, GError **error);

/** seen_record: record @index's version if it is higher. */
bool seen_record(const Index *index, const char *fingerprint, GError **error);
