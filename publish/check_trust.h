// SPDX-License-Identifier: Apache-2.0
/* Whether the trust that a version publishes would be accepted by a client that pinned its root keys. */
#pragma once

#include "publish/check.h"

/**
 * check_trust: the chain of version @version: signatures, expiry, and that it names the key that signs the index.
 * A repository without trust has nothing to check. Whatever is wrong is a finding.
 * @keys: keys.asc of that version
 */
void check_trust(const PublishRepo *repo, uint64_t version, GBytes *keys, GPtrArray *findings);
