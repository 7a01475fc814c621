// SPDX-License-Identifier: Apache-2.0
/* An index entry in the JSON of the repo verbs. */
#pragma once

#include "base/json.h"
#include "index/index.h"

/** publish_entry_put_json: what describes the image, whether it is published yet or not, and all extension fields. */
void publish_entry_put_json(Json *json, const IndexEntry *entry);

/** publish_entry_put_file_json: what describes its published file. */
void publish_entry_put_file_json(Json *json, const IndexEntry *entry);
