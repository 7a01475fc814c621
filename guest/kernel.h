// SPDX-License-Identifier: Apache-2.0
/* The kernel and initial RAM disk of a guest, copied out as virt-get-kernel does. */
#pragma once

#include "guest/guest.h"

typedef struct {
    const char *disk; /* opened read-only */
    DiskFormat format;
    const char *folder; /* of this host, for the copies */
    bool may_replace;   /* files of the same names in it */
} KernelRequest;

/**
 * kernel_get: copy the newest kernel and the RAM disk that goes with it.
 * @out_kernel, @out_initrd: (transfer full) where they are now; no initrd: NULL
 * Errors: BASE_ERROR_EXISTS; the guest has no kernel
 */
bool kernel_get(const KernelRequest *request, const GuestRun *run, char **out_kernel, char **out_initrd,
                GError **error);

/**
 * kernel_choose: (nullable) the path of the newest of @kernels, files named "vmlinuz-VERSION"; rescue kernels last. Pure.
 * @kernels: NULL-terminated
 */
const char *kernel_choose(char *const *kernels);

/**
 * kernel_choose_initrd: (nullable) of @initrds, "initramfs-VERSION.img", "initrd.img-VERSION" or "initrd-VERSION", the one
 * that goes with @kernel. Pure.
 */
const char *kernel_choose_initrd(const char *kernel, char *const *initrds);
