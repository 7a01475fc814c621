// SPDX-License-Identifier: Apache-2.0
/* Which firmware a disk boots from, by what its partition table holds. */
#pragma once

#include "guest/appliance.h"

typedef struct {
    bool has_esp;       /* an EFI system partition */
    bool has_bios_part; /* GPT: GRUB's BIOS boot partition */
    bool has_boot_code; /* the first sector starts with some */
} FirmwareFacts;

/** firmware_name: (nullable) "bios", "uefi", "bios,uefi" for the guest's @arch (nullable). Pure. */
const char *firmware_name(const FirmwareFacts *facts, const char *arch);

/** firmware_read: fill @info->firmware; it stays NULL where the disk does not say. */
void firmware_read(Appliance *g, GuestInfo *info, const char *disk);
