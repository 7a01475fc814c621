// SPDX-License-Identifier: Apache-2.0
/* Looking into disks, folders and libvirt's files for users of cached images. Private to uses*.c. */
#pragma once

#include "fetch/uses.h"

#include <sys/stat.h>

/** uses_add_doubt: @id: (nullable) the one image that it is about; NULL: any. @format: what, why, and what to do. */
void uses_add_doubt(Uses *uses, const char *id, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** uses_key: (transfer full) "device:inode". */
char *uses_key(const struct stat *status);

/** uses_add: @user needs the file @base. */
void uses_add(Uses *uses, const char *base, const char *user);

/** uses_look_into: everything below the disk @path is used by it. One that is not there is none. */
void uses_look_into(Uses *uses, const char *path);

/** NamedDisk: one that should be where it is said to be. */
typedef struct {
    const char *path;
    const char *id;     /* (nullable) the one image that it may use */
    const char *folder; /* (nullable) uses_folder_identity() of its folder when it was made */
    const char *remedy; /* what to do if it is gone for good */
} NamedDisk;

/** uses_look_into_named: the same; and where it is not there and may not have been removed, that is a doubt. */
void uses_look_into_named(Uses *uses, const NamedDisk *disk);

/** uses_look_into_folder: each disk in @folder, and in folders below to a depth of @levels. No folder, no disks. */
void uses_look_into_folder(Uses *uses, const char *folder, unsigned levels);
#define USES_LEVELS 3u

/** uses_look_at_libvirt: the disks and folders that libvirt's configuration on this host names. */
void uses_look_at_libvirt(Uses *uses);

/** uses_folder_identity: (transfer full) (nullable) differs where a folder was made anew, or lies below a mount that is gone. */
char *uses_folder_identity(const char *folder);

/**
 * uses_list: (transfer full) every name in @folder; NULL where it is not there, or cannot be read: then that
 * is a doubt about @id. @is_named: also where another user closed it to us
 */
char **uses_list(Uses *uses, const char *folder, bool is_named, const char *id);

/** uses_is_of_others: @path, or the closed folder that it is in, is another user's, and we are not root: it holds no disk of ours. */
bool uses_is_of_others(const char *path);
