// SPDX-License-Identifier: Apache-2.0
/* The verb table. */
#pragma once

#include "base/cli.h"

extern const Verb *const CLI_VERBS[]; /* NULL-terminated, in the order that help shows them */
