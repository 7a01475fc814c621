// SPDX-License-Identifier: Apache-2.0
/* What the verbs of this folder print alike. For verb files only. */
#pragma once

#include "base/json.h"
#include "fetch/catalogue.h"

/** show_warnings: each on stderr, but not @except's message, which main() prints. @except: (nullable) */
void show_warnings(const GPtrArray *warnings, const GError *except);

/** show_entry_json: (transfer full) every field of an entry, and its source. */
Json *show_entry_json(const Source *source, const IndexEntry *entry);

/** show_json: print @json on stdout. */
void show_json(const Json *json);
