// SPDX-License-Identifier: Apache-2.0
/*
 * The highest index version that this host has seen of each repository, and what was in it: an older one is a
 * rollback, another text under the same number a fork.
 */
#pragma once

#include "fetch/door.h"

typedef enum {
    SEEN_NEW, /* or nothing to compare with: an index without an id */
    SEEN_SAME,
    SEEN_OLDER, /* than *out_highest */
    SEEN_OTHER, /* the same version as before with other content */
} SeenVerdict;

/**
 * seen_judge: @opened against what was seen of its repository-id signed by any of @pins. All of them count, so that
 * a key that was added does not bring the old key's older index back; a key that is pinned no more does not, so
 * that whoever stole it and counted up to the end blocks nobody.
 * @pins: NULL-terminated; empty for an unsigned source
 * Errors: a record that is there but cannot be read: rollback protection must not be lost in silence
 */
bool seen_judge(const DoorIndex *opened, const char *const *pins, SeenVerdict *out_verdict,
                uint64_t *out_highest, GError **error);

/** seen_record: record @opened's version if it is higher than what is recorded for its pin. */
bool seen_record(const DoorIndex *opened, GError **error);
