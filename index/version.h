// SPDX-License-Identifier: Apache-2.0
/* Version strings of simplestreams: "20240101", "20240101.1", "20240101_07:42", "0.3.4". Private to index/. */
#pragma once

#include "index/index.h"

/** index_version_revision: a number below 2^63 that grows with the version, in each of the common forms: YYYYMMDD and
 * four more digits for dates, else four groups of four digits. At least 1. */
uint64_t index_version_revision(const char *version);
