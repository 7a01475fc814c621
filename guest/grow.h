// SPDX-License-Identifier: Apache-2.0
/* Grows the root of a disk to the disk's end: partition table, partition, physical and logical volume, file system. */
#pragma once

#include "guest/appliance.h"

/**
 * grow_disk: @expand, @lvexpand (both nullable) and @root as GuestInfo has them, but named for the disk at hand.
 * Nothing may be mounted; nothing is afterwards. A disk without room to grow is left as it is.
 * Errors: another partition lies behind @expand; a file system that cannot grow
 */
bool grow_disk(Appliance *appliance, const char *disk, const char *expand, const char *lvexpand,
               const char *root, const char *root_fs, const char *label, GError **error);
