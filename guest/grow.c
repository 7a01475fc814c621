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

/* check_last: whether nothing but @extended, which surrounds it, ends behind partition @number */
static bool
check_last(const struct guestfs_partition_list *list, int number, int extended, const char *label,
           uint64_t *out_end, GError **error)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < list->len; i++)
        if (list->val[i].part_num == number)
            end = list->val[i].part_end;
    for (unsigned i = 0; i < list->len; i++)
        if (list->val[i].part_start > end && list->val[i].part_num != extended)
            return error_set(error, "%s: partition %d cannot grow: partition %d lies behind it", label,
                             number, list->val[i].part_num);
    *out_end = end;
    return true;
}

static bool
resize_partition(Appliance *g, const char *disk, int number, const struct guestfs_partition_list *list,
                 const char *label, GError **error)
{
    g_autofree char *table = guestfs_part_get_parttype(g, disk);
    int64_t disk_bytes = guestfs_blockdev_getsize64(g, disk);
    bool is_gpt = g_strcmp0(table, "gpt") == 0;
    int extended = is_gpt || number < FIRST_LOGICAL ? 0 : extended_number(g, disk, list);
    int64_t last;
    uint64_t end;

    if (table == NULL || disk_bytes == -1)
        return appliance_fail(g, label, "read the partition table", error);
    if (!check_last(list, number, extended, label, &end, error))
        return false;
    last = disk_bytes / SECTOR - 1 - (is_gpt ? GPT_TAIL_SECTORS : 0);
    if (!is_gpt && last >= MBR_MAX_SECTORS)
        last = MBR_MAX_SECTORS - 1;
    if ((last + 1) * SECTOR - (int64_t)end - 1 < USEFUL_BYTES)
        return true;
    /* The backup GPT is still where the disk used to end. */
    if (is_gpt && guestfs_part_expand_gpt(g, disk) == -1)
        return appliance_fail(g, label, "move the backup partition table", error);
    if (extended != 0 && guestfs_part_resize(g, disk, extended, last) == -1)
        return appliance_fail(g, label, "grow the extended partition", error);
    if (guestfs_part_resize(g, disk, number, last) == -1)
        return appliance_fail(g, label, "grow the partition", error);
    return true;
}

static bool
grow_partition(Appliance *g, const char *disk, const char *partition, const char *label, GError **error)
{
    int number = guestfs_part_to_partnum(g, partition);
    struct guestfs_partition_list *list = number != -1 ? guestfs_part_list(g, disk) : NULL;
    bool ok;

    if (list == NULL)
        return appliance_fail(g, label, "list the partitions", error);
    ok = resize_partition(g, disk, number, list, label, error);
    guestfs_free_partition_list(list);
    return ok;
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
grow_disk(Appliance *appliance, const char *disk, const char *expand, const char *lvexpand, const char *root,
          const char *root_fs, const char *label, GError **error)
{
    Appliance *g = appliance;

    if (expand != NULL && !grow_partition(g, disk, expand, label, error))
        return false;
    if (lvexpand != NULL) {
        if (guestfs_pvresize(g, expand) == -1)
            return appliance_fail(g, label, "grow the physical volume", error);
        if (guestfs_lvresize_free(g, lvexpand, 100) == -1)
            return appliance_fail(g, label, "grow the logical volume", error);
    }
    if (g_str_has_prefix(root_fs, "ext"))
        return grow_ext(g, root, label, error);
    if (strcmp(root_fs, "xfs") == 0 || strcmp(root_fs, "btrfs") == 0)
        return grow_mounted(g, root, root_fs[0] == 'b', label, error);
    return error_set(error, "%s: a file system of type '%s' cannot grow", label, root_fs);
}
