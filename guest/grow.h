// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the root of a disk as large as a disk of another size allows: partition, encrypted container, physical and logical volume,
 * file system; the other way round where it becomes smaller. Swap behind the root moves.
 */
#pragma once

#include "guest/visit.h"

/**
 * grow_disk: nothing may be mounted; nothing is afterwards. ext2, ext3, ext4, xfs and btrfs grow by any number of whole blocks of
 * 4 KiB (with LVM: of extents); ext2, ext3, ext4 and btrfs without LVM shrink.
 * @disk_bytes: the size that the disk has, or will have after this: less than it has makes the root smaller
 * Errors: anything but swap lies behind the root; a file system that cannot; content that does not fit
 */
bool grow_disk(const Visit *visit, uint64_t disk_bytes, GError **error);
