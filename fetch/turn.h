// SPDX-License-Identifier: Apache-2.0
/* Whose turn it is to work on one image: a lock, in which its holder tells how far he is to those who wait. */
#pragma once

#include "fetch/cache.h"

/** Turn: held until turn_end(). */
typedef struct {
    char *path;
    int lock;
} Turn;

/**
 * turn_take: for the image @key; where another process has it, wait, and show the progress of that one meanwhile. It comes to an
 * end with it, however that ends.
 * Errors: _INTERRUPTED; the lock cannot be made
 */
bool turn_take(const CacheKey *key, Turn *out_turn, GError **error);
void turn_end(Turn *turn);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Turn, turn_end)
