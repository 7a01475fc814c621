// SPDX-License-Identifier: Apache-2.0
/* Reading a disk's partition table for what can boot it. Nothing depends on the answer but a hint to deployers. */
#include "guest/firmware.h"

#include <string.h>

#define BOOT_CODE_BYTES 440 /* of the first sector, before the disk's signature and the MBR partition table */
#define MBR_ESP 0xef
#define GPT_ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define GPT_BIOS "21686148-6449-6E6F-744E-656564454649"

const char *
firmware_name(const FirmwareFacts *facts, const char *arch)
{
    bool is_x86 = arch == NULL || strcmp(arch, "x86_64") == 0 || strcmp(arch, "i386") == 0;
    /* Partitioning tools leave a stub there even on disks that only UEFI boots: with an ESP it proves nothing. */
    bool has_bios = is_x86 && (facts->has_bios_part || (facts->has_boot_code && !facts->has_esp));

    if (facts->has_esp)
        return has_bios ? "bios,uefi" : "uefi";
    return has_bios ? "bios" : NULL;
}

static void
read_partition(Appliance *g, const char *disk, int number, bool is_gpt, FirmwareFacts *facts)
{
    if (is_gpt) {
        g_autofree char *type = guestfs_part_get_gpt_type(g, disk, number);

        facts->has_esp = facts->has_esp || (type != NULL && g_ascii_strcasecmp(type, GPT_ESP) == 0);
        facts->has_bios_part =
            facts->has_bios_part || (type != NULL && g_ascii_strcasecmp(type, GPT_BIOS) == 0);
    } else {
        facts->has_esp = facts->has_esp || guestfs_part_get_mbr_id(g, disk, number) == MBR_ESP;
    }
}

void
firmware_read(Appliance *g, GuestInfo *info, const char *disk)
{
    g_autofree char *table = guestfs_part_get_parttype(g, disk);
    struct guestfs_partition_list *parts = table != NULL ? guestfs_part_list(g, disk) : NULL;
    FirmwareFacts facts = {0};
    size_t size = 0;
    g_autofree char *code = guestfs_pread_device(g, disk, BOOT_CODE_BYTES, 0, &size);

    for (uint32_t i = 0; parts != NULL && i < parts->len; i++)
        read_partition(g, disk, parts->val[i].part_num, strcmp(table, "gpt") == 0, &facts);
    if (parts != NULL)
        guestfs_free_partition_list(parts);
    for (size_t i = 0; code != NULL && i < size; i++)
        facts.has_boot_code = facts.has_boot_code || code[i] != 0;
    info->firmware = g_strdup(firmware_name(&facts, info->arch));
}
