// SPDX-License-Identifier: Apache-2.0
/* What this host keeps of the trust in a source, in a 0700 folder of its own: path_state()/trust/SOURCE. */
#pragma once

#include "fetch/source.h"

/** trust_state_path: (transfer full) a file of the source @name, which source_is_name() has checked. */
char *trust_state_path(const char *name, const char *leaf);

/** trust_state_forget: the source is removed. */
bool trust_state_forget(const char *name, GError **error);
