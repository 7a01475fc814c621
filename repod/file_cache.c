// SPDX-License-Identifier: Apache-2.0
/* A table without chains: two files that want the same place take turns, which costs no more than having no cache. */
#include "repod/file_cache.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* More than are asked for at a time from one repository, and few beside the descriptors of the connections. */
#define N_PLACES 64u
/* Names differ in their ends: digests, "index.sig". */
#define HASHED_BYTES 16u

struct FileCache {
    OpenFile *places[N_PLACES];
    unsigned n_files;
    uint64_t turn;
};

void
open_file_unref(OpenFile *file)
{
    if (file == NULL || --file->n_users > 0)
        return;
    fd_close(file->fd);
    g_free(file);
}

FileCache *
file_cache_new(void)
{
    return g_new0(FileCache, 1);
}

void
file_cache_free(FileCache *cache)
{
    if (cache == NULL)
        return;
    file_cache_forget(cache);
    g_free(cache);
}

static void
empty(FileCache *cache, OpenFile **place)
{
    if (*place == NULL)
        return;
    cache->n_files--;
    open_file_unref(g_steal_pointer(place));
}

static OpenFile **
find_place(FileCache *cache, const char *path, size_t length)
{
    uint32_t hash = 2166136261; /* FNV-1a */

    for (size_t i = length - MIN(length, HASHED_BYTES); i < length; i++)
        hash = (hash ^ (unsigned char)path[i]) * 16777619;
    return &cache->places[(hash ^ hash >> 16) % N_PLACES];
}

/* Whether nobody has replaced or changed it: any change of a file or of its names also changes st_ctim. */
static bool
is_unchanged(const OpenFile *file)
{
    struct stat now;

    return fstatat(file->site->root, file->path, &now, 0) == 0 && now.st_ino == file->found.st_ino &&
           now.st_dev == file->found.st_dev && now.st_size == file->found.st_size &&
           now.st_ctim.tv_sec == file->found.st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == file->found.st_ctim.tv_nsec &&
           now.st_mtim.tv_sec == file->found.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == file->found.st_mtim.tv_nsec;
}

/* O_NONBLOCK: opening a named pipe would block. */
static OpenFile *
open_anew(const Site *site, const char *path, size_t length)
{
    g_auto(Fd) fd = file_open_beneath(site->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, NULL);
    OpenFile *file;
    struct stat found;

    if (fd < 0 || fstat(fd, &found) < 0)
        return NULL;
    if (!S_ISREG(found.st_mode)) {
        errno = ENOENT;
        return NULL;
    }
    file = g_malloc(sizeof *file + length + 1);
    *file = (OpenFile){.n_users = 1, .fd = fd_steal(&fd), .found = found, .site = site};
    memcpy(file->path, path, length + 1);
    response_file_facts(path, &found, &file->facts);
    file->facts.is_private = !site->config->is_public;
    file->count = file->facts.is_blob ? shelf_count(site->shelf, path) : NULL;
    return file;
}

/* is_current: whether @file is what @path means in this turn. */
static bool
is_current(const FileCache *cache, OpenFile *file, const Site *site, const char *path)
{
    if (file == NULL || file->site != site || strcmp(file->path, path) != 0 ||
        (file->turn != cache->turn && !is_unchanged(file)))
        return false;
    file->turn = cache->turn;
    return true;
}

static bool
is_out_of_files(int code)
{
    return code == EMFILE || code == ENFILE;
}

OpenFile *
file_cache_open(FileCache *cache, const Site *site, const char *path)
{
    const size_t length = strlen(path);
    OpenFile **place = find_place(cache, path, length), *file = *place;

    if (!is_current(cache, file, site, path)) {
        empty(cache, place);
        file = open_anew(site, path, length);
        if (file == NULL && is_out_of_files(errno) && cache->n_files > 0) {
            file_cache_forget(cache);
            file = open_anew(site, path, length);
        }
        if (file == NULL)
            return NULL;
        file->turn = cache->turn;
        *place = file;
        cache->n_files++;
    }
    file->n_users++;
    return file;
}

void
file_cache_look_again(FileCache *cache)
{
    cache->turn++;
}

bool
file_cache_is_empty(const FileCache *cache)
{
    return cache->n_files == 0;
}

void
file_cache_forget(FileCache *cache)
{
    for (size_t i = 0; i < N_PLACES && cache->n_files > 0; i++)
        empty(cache, &cache->places[i]);
}
