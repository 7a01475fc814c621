// SPDX-License-Identifier: Apache-2.0
/* What is in the cache, and what of it may go. */
#pragma once

#include "fetch/record.h"
#include "fetch/uses.h"

/** CacheImage: a complete image. */
typedef struct {
    char *id, *path;
    DiskFormat format;
    uint64_t size;          /* bytes of the file */
    uint64_t disk_bytes;    /* that it takes, with its manifest */
    int64_t last_used;      /* unix seconds */
    GPtrArray *names;       /* (element-type Recorded) the images that it is, borrowed */
    const GPtrArray *users; /* (element-type utf8) (nullable) disks that need it, borrowed */
    int lock;               /* both while it is being removed, else -1 */
    int fd;
} CacheImage;

/** CacheLitter: what is not complete: work to go on with, or of no use any more. */
typedef struct {
    char *id, *path;
    uint64_t disk_bytes;
    int64_t changed; /* unix seconds */
} CacheLitter;

typedef struct {
    GPtrArray *images;   /* (element-type CacheImage) least recently used first */
    GPtrArray *litter;   /* (element-type CacheLitter) */
    GPtrArray *recorded; /* (element-type Recorded) all */
    Uses *uses;          /* NULL before contents_find_users() */
} CacheContents;

CacheContents *contents_read(void);
void contents_free(CacheContents *contents);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CacheContents, contents_free)

/** contents_find_users: fill in who needs each image. */
void contents_find_users(CacheContents *contents);

/** contents_name: (transfer full) "SOURCE/NAME, SOURCE/NAME", or the id of an image that nobody recorded. */
char *contents_name(const CacheImage *image);

/** PruneRule: what to remove; both: whatever one of them says. */
typedef struct {
    uint64_t max_bytes; /* of all images; 0: any */
    int64_t max_age;    /* seconds since the last use; -1: any */
    int64_t now;        /* unix seconds */
} PruneRule;

/**
 * prune_choose: pure: which of @images (least recently used first) the rule removes, by index. Those with users are
 * left out, and so are those that are locked by others, which have is_kept[i] set. A last use in the future, by a clock that
 * was wrong then or is now, counts as just now.
 * Returns: (element-type bool) (transfer full)
 */
bool *prune_choose(const GPtrArray *images, const bool *is_kept, const PruneRule *rule);
