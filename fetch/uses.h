// SPDX-License-Identifier: Apache-2.0
/*
 * Who needs a cached image: disks that have it as their base, found by reading qcow2 headers each time, and VMs that have it
 * as their disk. Where to look is known without libvirt: what `deploy` noted when it made a linked clone, the folders of such
 * disks, the folder of new disks, and the files of libvirt's own configuration. What cannot be seen or read is a doubt: it may
 * be a user. What is there may use any image; of what is not there (a file system that is not mounted) the note says which one.
 */
#pragma once

#include "base/error.h"

typedef struct {
    GHashTable *users; /* "device:inode" of an image -> (element-type utf8) disks and domains that need it */
    GPtrArray *doubts; /* (element-type utf8) all, each with what to do about it */
    GHashTable *doubted; /* the id of an image, or "" for any -> the first doubt about it, borrowed */
    GHashTable *visited; /* "device:inode" of disks that were looked into */
} Uses;

/**
 * uses_note: before the disk @path is put into place, which has the image @id as its base. Its folder is there. Kept until
 * uses_sweep().
 * @path: without line breaks
 */
bool uses_note(const char *id, const char *path, GError **error);

Uses *uses_find(void);
void uses_free(Uses *uses);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Uses, uses_free)

/** uses_of: (element-type utf8) (nullable) the disks and domains that need the file @path. */
const GPtrArray *uses_of(const Uses *uses, const char *path);

/** uses_doubt: (nullable) why it cannot be told whether the image @id is needed, though uses_of() knows nobody. */
const char *uses_doubt(const Uses *uses, const char *id);

/** uses_is_open: whether a running qemu has the image open: it locks bytes of each file that it reads. */
bool uses_is_open(int fd);

/** uses_sweep: forget the notes of @id; for who removes the image. */
void uses_sweep(const char *id);
