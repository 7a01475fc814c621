// SPDX-License-Identifier: Apache-2.0
/* The disk files of new VMs. Private to deploy/. */
#pragma once

#include "base/progress.h"
#include "deploy/plan.h"

/** DiskBase: the cached image, opened and locked against removal while VMs are made of it. */
typedef struct {
    int fd; /* shared flock() */
    const char *path;
    DiskFormat format;
    uint64_t size; /* of the virtual disk, bytes */
} DiskBase;

/**
 * deploy_disks_open_base: open, lock and look into the image.
 * Errors: not the stated format; not self-contained (a backing file or an external data file); BASE_ERROR_NOT_FOUND: it was
 * removed, maybe between opening and locking
 */
bool deploy_disks_open_base(const char *path, DiskFormat format, DiskBase *out_base, GError **error);

/** deploy_disks_format: what a disk of @mode is: linked qcow2, full raw. */
DiskFormat deploy_disks_format(DeployMode mode);

/** deploy_disks_make: one new disk at @path (which must not exist), mode 0600, @size bytes. */
bool deploy_disks_make(const DiskBase *base, DeployMode mode, const char *path, uint64_t size,
                       Progress *progress, GError **error);

/** deploy_disks_move: rename without replacing anything: an existing @to is BASE_ERROR_EXISTS. */
bool deploy_disks_move(const char *from, const char *to, GError **error);
