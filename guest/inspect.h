// SPDX-License-Identifier: Apache-2.0
/* One operating system in an appliance that has found it. */
#pragma once

#include "guest/appliance.h"

/**
 * inspect_root: describe the system whose root guestfs_inspect_os() found as @root on the disk @disk ("/dev/sda").
 * Devices are named as in this appliance. Nothing stays mounted after success.
 */
GuestInfo *inspect_root(Appliance *g, const char *root, const char *disk, bool want_packages,
                        const char *label, GError **error);
