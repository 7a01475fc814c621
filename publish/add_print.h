// SPDX-License-Identifier: Apache-2.0
/* The output of `repo add`. */
#pragma once

#include "publish/add.h"

/** add_print: what was published, or would be, on stdout. One image gives one JSON object, several give a list. */
void add_print(const PublishAdd *add, const Index *index, bool is_dry_run, bool is_json);
