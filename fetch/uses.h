// SPDX-License-Identifier: Apache-2.0
/*
 * Who needs a cached image: disks that have it as their base, found by reading qcow2 headers each time. Where to look is known
 * without libvirt: what `deploy` noted when it made a linked clone, the folders of such disks, the folder of new disks, and
 * the files that libvirt's own configuration names.
 */
#pragma once

#include "base/error.h"

typedef struct {
    GHashTable *users; /* "device:inode" of a base -> (element-type utf8) disks that need it */
    GPtrArray
        *doubts; /* (element-type utf8) what may use an image and could not be read: nothing must go then */
    GHashTable *visited; /* "device:inode" of disks that were looked into */
} Uses;

/** uses_note: before the disk @path is put into place, which has the image @id as its base. Kept until uses_sweep(). */
bool uses_note(const char *id, const char *path, GError **error);

Uses *uses_find(void);
void uses_free(Uses *uses);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Uses, uses_free)

/** uses_of: (element-type utf8) (nullable) the disks that need the file @path. */
const GPtrArray *uses_of(const Uses *uses, const char *path);

/** uses_is_open: whether a running qemu has the image open: it locks bytes of each file that it reads. */
bool uses_is_open(int fd);

/** uses_sweep: forget the notes of @id; for who removes the image. */
void uses_sweep(const char *id);
