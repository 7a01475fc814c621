// SPDX-License-Identifier: Apache-2.0
/* Verified copies of other people's repositories: as they are, with their signatures, or chosen from and signed anew. */
#pragma once

#include "base/cli.h"

extern const Verb MIRROR_VERB_MIRROR;
