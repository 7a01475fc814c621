// SPDX-License-Identifier: Apache-2.0
/* Whose signature on an index counts for a repository that is served; private to repod/. */
#pragma once

#include "repod/config.h"
#include "store/store.h"

/**
 * pins_read: (transfer full) NULL-terminated normal fingerprints: what the configuration says, else what the publisher's own
 * notes in the repository say, which repod can read where it runs as the same user.
 */
char **pins_read(const ConfigSite *site, Store *store, GError **error);
