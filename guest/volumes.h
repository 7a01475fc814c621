// SPDX-License-Identifier: Apache-2.0
/*
 * What has to be opened before the file systems of a disk can be seen: LUKS containers, and the logical volumes on them or on
 * partitions. Those of one disk are open at a time, for clones carry the same identities.
 */
#pragma once

#include "guest/appliance.h"

/**
 * volumes_unlock: open the LUKS container @device with one of @keys that is meant for it.
 * @out_map: (transfer full): "/dev/mapper/luks2"; NULL where there is no key for it
 * Errors: none of its keys opens it
 */
bool volumes_unlock(Appliance *appliance, const GuestKeys *keys, const char *disk, const char *device,
                    const char *label, char **out_map, GError **error);

/** volumes_select: LVM sees @disk and the opened @containers (element-type GuestMount) alone, and opens their volumes. */
bool volumes_select(Appliance *appliance, const char *disk, const GPtrArray *containers, const char *label,
                    GError **error);

/** volumes_open: everything that @info, known from this disk or its clone, needs. */
bool volumes_open(Appliance *appliance, const GuestInfo *info, const GuestKeys *keys, const char *disk,
                  const char *label, GError **error);

/** volumes_close: all of it again, so that the disk is free for another table or the next one's turn. */
bool volumes_close(Appliance *appliance, const GuestInfo *info, const char *label, GError **error);

/** volumes_partition: the device below an opened container, else @device itself. */
const char *volumes_partition(const GuestInfo *info, const char *device);
