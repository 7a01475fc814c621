// SPDX-License-Identifier: Apache-2.0
/*
 * How much each token has uploaded today (UTC); private to repod/. Kept below STATE/usage, so that a restart forgets at most
 * what was being uploaded. Any thread may call; all but usage_add() may block.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

typedef struct Usage Usage;

Usage *usage_new(void);
void usage_free(Usage *usage);

/** usage_today: bytes that the token @id has uploaded. @now: unix seconds. */
uint64_t usage_today(Usage *usage, const char *state_dir, const char *id, int64_t now);

/** usage_add: @bytes more. Returns: all of today. */
uint64_t usage_add(Usage *usage, const char *id, uint64_t bytes, int64_t now);

/** usage_save: what is counted of @id. A disk that is full loses the count alone. */
void usage_save(Usage *usage, const char *state_dir, const char *id, int64_t now);
