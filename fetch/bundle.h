// SPDX-License-Identifier: Apache-2.0
/* Several small files as one block of bytes, for the cache: per file a line "PATH SIZE ETAG", then its bytes. Pure. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *path; /* no blanks */
    char *etag; /* (nullable) */
    GBytes *body;
} BundleFile;
void bundle_file_free(BundleFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BundleFile, bundle_file_free)

/** bundle_pack: (transfer full) @files: (element-type BundleFile) */
GBytes *bundle_pack(const GPtrArray *files);

/** bundle_unpack: (transfer full) (element-type BundleFile) (nullable) at most @max_files; NULL where @packed is none. */
GPtrArray *bundle_unpack(GBytes *packed, guint max_files);

/** bundle_lookup: (nullable) borrowed. @files: (nullable) */
const BundleFile *bundle_lookup(const GPtrArray *files, const char *path);
