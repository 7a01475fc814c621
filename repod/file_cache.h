// SPDX-License-Identifier: Apache-2.0
/*
 * Files that were asked for a moment ago, still open; private to repod/. Each worker has its own: nothing here may be called
 * from another thread.
 *
 * Nothing stale is ever served: in each turn of its worker's loop, the first request for a file looks with one stat() whether
 * the name still leads to the very file that is open and that file is unchanged; else it is opened anew, beneath the repository's
 * folder. What else is answered in a turn was on its way before it began, or says so with file_cache_look_again(). The stat()
 * itself may follow a link out of that folder, but what it finds there is only compared.
 */
#pragma once

#include "repod/response.h"
#include "repod/runtime.h"

/** FILE_CACHE_SECONDS: who owns a cache calls file_cache_forget() this long after it got its first file: what was removed keeps
 * its disk space no longer. */
#define FILE_CACHE_SECONDS 10

/** OpenFile: a regular file; it never changes but for its number of users. */
typedef struct {
    unsigned n_users;
    int fd;
    FileFacts facts;
    ShelfCount *count; /* of a blob; NULL: it is none */
    struct stat found; /* when it was opened */
    uint64_t turn;     /* in which that was compared last */
    const Site *site;
    char path[];
} OpenFile;

void open_file_unref(OpenFile *file);

typedef struct FileCache FileCache;

FileCache *file_cache_new(void);
void file_cache_free(FileCache *cache);

/**
 * file_cache_open: the file @path of @site, which lives until file_cache_forget(); to be given to open_file_unref().
 * Returns: NULL with errno set, ENOENT also for what is no regular file
 */
OpenFile *file_cache_open(FileCache *cache, const Site *site, const char *path);

/** file_cache_look_again: what is asked for from now on may be younger than the last look at a file. */
void file_cache_look_again(FileCache *cache);

/** file_cache_is_empty: whether there is nothing to forget. */
bool file_cache_is_empty(const FileCache *cache);

/** file_cache_forget: close all that nobody uses, and what is used when that ends. */
void file_cache_forget(FileCache *cache);
