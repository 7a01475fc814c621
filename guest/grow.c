// SPDX-License-Identifier: Apache-2.0
/* Grows one disk's root, from the partition table upwards. */
#include "guest/grow.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR 512
#define GPT_TAIL_SECTORS 33         /* UEFI 5.3: the backup table (128 entries of 128 bytes) and its header */
#define MBR_MAX_SECTORS (1ll << 32) /* 32-bit sector numbers */
#define FIRST_LOGICAL 5             /* MBR: partitions from here on lie inside the extended one */
#define USEFUL_BYTES (1ll << 20)    /* less than this is alignment, not room */

/* extended_number: the MBR's extended partition, or 0 */
static int
extended_number(Appliance *g, const char *disk, const struct guestfs_partition_list *list)
{
    for (unsigned i = 0; i < list->len; i++) {
        int number = list->val[i].part_num;
        g_autofree char *type =
            number < FIRST_LOGICAL ? guestfs_part_get_mbr_part_type(g, disk, number) : NULL;

        if (g_strcmp0(type, "extended") == 0)
            return number;
    }
    return 0;
}

/* find_end: where the partition ends; nothing but the extended partition around it may end later */
static bool
find_end(GrowTable *table, const struct guestfs_partition_list *list, const char *label, GError **error)
{
    for (unsigned i = 0; i < list->len; i++)
        if (list->val[i].part_num == table->number)
            table->end = (int64_t)list->val[i].part_end;
    for (unsigned i = 0; i < list->len; i++)
        if ((int64_t)list->val[i].part_start > table->end && list->val[i].part_num != table->extended)
            return error_set(error, "%s: partition %d cannot grow: partition %d lies behind it", label,
                             table->number, list->val[i].part_num);
    return true;
}

/* Each of these calls runs a program in the appliance, so they are made for the first clone only. */
static bool
read_table(Appliance *g, GrowTable *table, const GrowDisk *disk, GError **error)
{
    g_autofree char *kind = guestfs_part_get_parttype(g, disk->disk);
    struct guestfs_partition_list *list = kind != NULL ? guestfs_part_list(g, disk->disk) : NULL;
    bool ok;

    table->number = list != NULL ? guestfs_part_to_partnum(g, disk->expand) : -1;
    if (table->number == -1) {
        if (list != NULL)
            guestfs_free_partition_list(list);
        return appliance_fail(g, disk->label, "read the partition table", error);
    }
    table->is_gpt = strcmp(kind, "gpt") == 0;
    if (!table->is_gpt && table->number >= FIRST_LOGICAL)
        table->extended = extended_number(g, disk->disk, list);
    ok = find_end(table, list, disk->label, error);
    guestfs_free_partition_list(list);
    table->is_read = ok;
    return ok;
}

static bool
grow_partition(Appliance *g, const GrowTable *table, const GrowDisk *disk, GError **error)
{
    int64_t last = (int64_t)(disk->size / SECTOR) - 1 - (table->is_gpt ? GPT_TAIL_SECTORS : 0);

    if (!table->is_gpt && last >= MBR_MAX_SECTORS)
        last = MBR_MAX_SECTORS - 1;
    if ((last + 1) * SECTOR - table->end - 1 < USEFUL_BYTES)
        return true;
    /* The backup GPT is still where the disk used to end. */
    if (table->is_gpt && guestfs_part_expand_gpt(g, disk->disk) == -1)
        return appliance_fail(g, disk->label, "move the backup partition table", error);
    if (table->extended != 0 && guestfs_part_resize(g, disk->disk, table->extended, last) == -1)
        return appliance_fail(g, disk->label, "grow the extended partition", error);
    if (guestfs_part_resize(g, disk->disk, table->number, last) == -1)
        return appliance_fail(g, disk->label, "grow the partition", error);
    return true;
}

static bool
grow_mounted(Appliance *g, const char *root, bool is_btrfs, const char *label, GError **error)
{
    int rc;

    if (guestfs_mount(g, root, "/") == -1)
        return appliance_fail(g, label, "mount the root", error);
    rc = is_btrfs ? guestfs_btrfs_filesystem_resize(g, "/", -1)
                  : guestfs_xfs_growfs(g, "/", GUESTFS_XFS_GROWFS_DATASEC, 1, -1);
    if (rc == -1)
        return appliance_fail(g, label, "grow the file system", error);
    if (guestfs_umount_all(g) == -1)
        return appliance_fail(g, label, "unmount", error);
    return true;
}

static bool
grow_ext(Appliance *g, const char *device, const char *label, GError **error)
{
    /* resize2fs insists on a check; preening alone would be skipped for a clean file system. */
    if (guestfs_e2fsck(g, device, GUESTFS_E2FSCK_CORRECT, 1, -1) == -1)
        return appliance_fail(g, label, "check the file system", error);
    if (guestfs_resize2fs(g, device) == -1)
        return appliance_fail(g, label, "grow the file system", error);
    return true;
}

bool
grow_disk(Appliance *appliance, GrowTable *table, const GrowDisk *disk, GError **error)
{
    Appliance *g = appliance;

    if (disk->expand != NULL && !table->is_read && !read_table(g, table, disk, error))
        return false;
    if (disk->expand != NULL && !grow_partition(g, table, disk, error))
        return false;
    if (disk->lvexpand != NULL) {
        if (guestfs_pvresize(g, disk->expand) == -1)
            return appliance_fail(g, disk->label, "grow the physical volume", error);
        if (guestfs_lvresize_free(g, disk->lvexpand, 100) == -1)
            return appliance_fail(g, disk->label, "grow the logical volume", error);
    }
    if (g_str_has_prefix(disk->root_fs, "ext"))
        return grow_ext(g, disk->root, disk->label, error);
    if (strcmp(disk->root_fs, "xfs") == 0 || strcmp(disk->root_fs, "btrfs") == 0)
        return grow_mounted(g, disk->root, disk->root_fs[0] == 'b', disk->label, error);
    return error_set(error, "%s: a file system of type '%s' cannot grow", disk->label, disk->root_fs);
}
