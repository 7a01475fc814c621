// SPDX-License-Identifier: Apache-2.0
/* Which names a version of a verbatim mirror shows. Pure. */
#pragma once

#include "mirror/wants.h"

/**
 * mirror_shown: (transfer full) name -> path of its blob: what the index names, and for a while what the version before had: somebody
 * may be in the middle of a download. Such a name gives way where a file would have to be a folder, too.
 * @by_name: name -> MirrorFile, all of them here
 * @before: name -> path of its blob, in the version before
 * @gone: name -> since when (unix seconds as text) the index has it no more; brought up to date
 */
GHashTable *mirror_shown(GHashTable *by_name, GHashTable *before, GHashTable *gone, int64_t now,
                         int64_t grace);
