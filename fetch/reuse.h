// SPDX-License-Identifier: Apache-2.0
/* Taking from this host what need not come over the network. */
#pragma once

#include "fetch/job.h"

/** reuse_delta: the smallest delta that makes @entry's image of one that is here. @out_base: (transfer full) its path */
bool reuse_delta(const IndexEntry *entry, IndexDelta *out_delta, char **out_base);

/**
 * reuse_fill: put into the file @fd at @path, if it is empty, what other images of this host have of the one in
 * @manifest: by a delta or by equal blocks, whichever leaves fewer bytes to fetch. What cannot be used is a warning of the
 * job; what is wrong in the result is for blocks_fetch() to find. Errors: Ctrl-C; the file cannot be written at all
 */
bool reuse_fill(const Job *job, const DiskManifest *manifest, int fd, const char *path, GError **error);
