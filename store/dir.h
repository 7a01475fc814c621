// SPDX-License-Identifier: Apache-2.0
/* What the files of a folder repository share. */
#pragma once

#include "store/store.h"

#define STORE_CURRENT "current"
#define STORE_GENERATIONS "gen"
#define STORE_BLOBS "blobs/sha512"
#define STORE_TEMP_PREFIX                                                                                    \
    ".tmp-" /* anything unfinished; made under the lock, so what a later holder finds is dead */
#define STORE_UPLOAD_PREFIX ".tmp-upload-" /* files with a lock of their own */

#define STORE_PRIVATE ".virt-depot"

struct Store {
    char *dir; /* absolute */
    Fd lock;   /* -1: not held */
};

/** store_path: (transfer full) a path in the repository. */
char *store_path(const Store *store, const char *relative);

/** store_write_file: a new file, with exactly @mode, fsynced; the folder is left to the caller. */
bool store_write_file(const char *path, const void *data, size_t size, mode_t mode, GError **error);

/** store_links_write: make @links within the new folder @dir, which will be gen/N. */
bool store_links_write(const char *dir, const StoreLink *links, size_t n_links, GError **error);

/** store_replace_link: @name at the top points to @target, from one moment to the next. The lock must be held. */
bool store_replace_link(Store *store, const char *name, const char *target, GError **error);

/** store_make_link: the same for "current/@name", where that is not so already. */
bool store_make_link(Store *store, const char *name, GError **error);
