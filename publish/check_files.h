// SPDX-License-Identifier: Apache-2.0
/* The files that an index names, compared with what it says of them. */
#pragma once

#include "publish/check.h"

/**
 * check_files: whether each entry's files are there, of the stated size and digest.
 * @present: path -> StoreBlob of every blob in the store
 * Errors: _INTERRUPTED; whatever is wrong with a file is a finding
 */
bool check_files(Store *store, const Index *index, GHashTable *present, const PublishCheckOptions *options,
                 GPtrArray *findings, GError **error);
