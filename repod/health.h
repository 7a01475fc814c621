// SPDX-License-Identifier: Apache-2.0
/* Whether the server works; private to repod/. Both wait, so they are for the pool. */
#pragma once

#include "repod/worker.h"

/** health_loops: whether every event loop answers within @timeout_us. */
bool health_loops(Shared *shared, int64_t timeout_us);

/**
 * health_ready: whether each repository can be read and its disk has room left.
 * @details: gets a line for each repository
 */
bool health_ready(const Shared *shared, const Runtime *runtime, GString *details);
