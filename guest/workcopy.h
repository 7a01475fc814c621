// SPDX-License-Identifier: Apache-2.0
/*
 * The disk file that a verb works on: a temporary copy beside it that takes its name when all is well, or the file itself.
 * Nobody else works on a disk meanwhile: other calls of ours are kept off by flock(), qemu by its own image locks.
 */
#pragma once

#include "disk/disk.h"

#include <sys/stat.h>

typedef enum {
    WORK_COPY,     /* the file is as it was until work_copy_publish() */
    WORK_IN_PLACE, /* the file itself, or a block device */
    WORK_READ_ONLY /* the file itself, which is not to be written; it may be in use */
} WorkMode;

typedef struct {
    WorkMode mode;
    const char *name; /* as given; for messages. Borrowed */
    char *target;     /* the file behind symbolic links */
    char *path;       /* to work on */
    DiskFormat format;
    uint64_t virtual_size;
    struct stat before; /* the file as it was found */
    int original;       /* holds the locks */
    int fd;             /* the copy, locked; else -1 */
} WorkCopy;
#define WORK_COPY_NONE                                                                                       \
    {                                                                                                        \
        .original = -1, .fd = -1                                                                             \
    }

/** work_copy_clear: removes a copy that was not published. */
void work_copy_clear(WorkCopy *work);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(WorkCopy, work_copy_clear)

/**
 * work_copy_open: lock, look into and (WORK_COPY) copy the disk @name, by reflink where the file system can, holes kept.
 * Copies that killed runs left in the folder are removed.
 * @format: (nullable) "raw", "qcow2"; NULL and "auto": by the header, which has to agree in any case
 * Errors: BASE_ERROR_USAGE: no such format; BASE_ERROR_EXISTS: a running program has it open; what cannot be copied without
 * loss: block devices, files of several names, data in another file, write protection
 */
bool work_copy_open(const char *name, const char *format, WorkMode mode, WorkCopy *out_work, GError **error);

/**
 * work_copy_publish: onto the disk with the copy, which gets mode, owner and extended attributes of the file, then its name.
 * Nothing to do in the other modes. Errors: the file was changed or replaced since it was copied
 */
bool work_copy_publish(WorkCopy *work, GError **error);
