// SPDX-License-Identifier: Apache-2.0
/* Grows the root of a disk to the disk's end: partition table, partition, physical and logical volume, file system. */
#pragma once

#include "guest/appliance.h"

/** GrowTable: what the partition tables of all clones say alike; read from the first disk. {0} at the start. */
typedef struct {
    bool is_read, is_gpt;
    int number;   /* the partition to grow */
    int extended; /* the MBR partition around it, or 0 */
    int64_t end;  /* its last byte */
} GrowTable;

/** GrowDisk: names inside the appliance, as GuestInfo has them but for the disk at hand. */
typedef struct {
    const char *disk;     /* "/dev/sdb" */
    const char *expand;   /* "/dev/sdb1"; NULL: no partition */
    const char *lvexpand; /* NULL: no LVM */
    const char *root;
    const char *root_fs;
    uint64_t size;     /* of the disk in bytes */
    const char *label; /* for messages */
} GrowDisk;

/**
 * grow_disk: nothing may be mounted; nothing is afterwards. A partition without room to grow is left as it is.
 * Errors: another partition lies behind @expand; a file system that cannot grow
 */
bool grow_disk(Appliance *appliance, GrowTable *table, const GrowDisk *disk, GError **error);
