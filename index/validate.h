// SPDX-License-Identifier: Apache-2.0
/* Parts of index_entry_validate() for other sources of entries. Private to index/. */
#pragma once

#include "index/index.h"

/** index_entry_check: as index_entry_validate(), but that the virtual size may be unknown. */
bool index_entry_check(const IndexEntry *entry, GError **error);

/** index_path_check: relative, downward, no URL, no control characters. @field: for messages */
bool index_path_check(const char *field, const char *path, GError **error);
