// SPDX-License-Identifier: Apache-2.0
/* The one door between bytes that anybody may have written and an index that is believed. */
#pragma once

#include "fetch/texts.h"
#include "index/index.h"

typedef struct {
    Index *index;
    GPtrArray *problems; /* (element-type IndexProblem) */
    char *fingerprint;   /* of the key that signed it; NULL: the source is unsigned */
    char *pin;           /* the source's pin that it satisfies; NULL: unsigned */
    char *digest;        /* of the text without blanks at line ends: alike for both forms of one version */
    int64_t signed_at;   /* unix seconds; 0: unsigned */
    int64_t sig_expires; /* of the signature; 0: never */
} DoorIndex;
void door_index_clear(DoorIndex *opened);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DoorIndex, door_index_clear)

/**
 * door_open: verify @texts against the source's pins, then parse what the signature covers. Texts of a source that
 * is explicitly unsigned are parsed as they are.
 * Errors: BASE_ERROR_UNTRUSTED for anything that does not verify, and for another repository than was added
 */
bool door_open(const Source *source, const Texts *texts, DoorIndex *out_opened, GError **error);
