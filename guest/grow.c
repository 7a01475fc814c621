// SPDX-License-Identifier: Apache-2.0
/* Grows or shrinks one disk's root. The table's bytes are table.c's; the kernel reads them anew while nothing is open. */
#include "guest/grow.h"

#include "guest/layout.h"
#include "guest/table.h"
#include "guest/volumes.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_LOGICAL 5
#define REREAD_ATTEMPTS 10

/* Swap: what a swap area is known by, for it is made anew where it has moved to. */
typedef struct {
    char *device, *uuid, *label;
} Swap;

static void
swap_free(Swap *swap)
{
    g_free(swap->device);
    g_free(swap->uuid);
    g_free(swap->label);
    g_free(swap);
}

static bool
read_disk(void *context, uint64_t offset, uint8_t *bytes, size_t size, GError **error)
{
    const Visit *visit = context;
    size_t got = 0;
    g_autofree char *data = guestfs_pread_device(visit->g, visit->disk, (int)size, (int64_t)offset, &got);

    if (data == NULL)
        return appliance_fail(visit->g, visit->label, "read the partition table", error);
    if (got != size)
        return error_set(error, "%s: the partition table leads beyond the disk", visit->label);
    memcpy(bytes, data, size);
    return true;
}

static bool
write_disk(void *context, uint64_t offset, const uint8_t *bytes, size_t size, GError **error)
{
    const Visit *visit = context;
    int written = guestfs_pwrite_device(visit->g, visit->disk, (const char *)bytes, size, (int64_t)offset);

    if (written == -1)
        return appliance_fail(visit->g, visit->label, "write the partition table", error);
    return (size_t)written == size || error_set(error, "%s: cannot write the partition table", visit->label);
}

/* read_swap: (element-type Swap) (transfer full) what lies behind the root, which may be nothing but swap */
static GPtrArray *
read_swap(const Visit *visit, const Table *table, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)swap_free);

    for (unsigned i = 0; i < table->parts->len; i++) {
        const TablePart *part = &g_array_index(table->parts, TablePart, i);
        g_autofree char *device = g_strdup_printf("%s%d", visit->disk, part->number);
        g_autofree char *type = NULL;
        Swap *swap;

        if (!part->has_moved || (part->is_extended && table_part(table, FIRST_LOGICAL) != NULL))
            continue; /* what an extended one holds is looked at itself */
        type = part->is_extended ? NULL : guestfs_vfs_type(visit->g, device);
        if (g_strcmp0(type, "swap") != 0) {
            error_set(error, "%s: the root cannot change its size: partition %d (%s) lies behind it",
                      visit->label, part->number, type != NULL && type[0] != '\0' ? type : "unknown");
            return NULL;
        }
        swap = g_new0(Swap, 1);
        g_ptr_array_add(found, swap);
        swap->uuid = guestfs_vfs_uuid(visit->g, device);
        swap->label = guestfs_vfs_label(visit->g, device);
        swap->device = g_steal_pointer(&device);
    }
    return g_steal_pointer(&found);
}

static bool
make_swap(const Visit *visit, const GPtrArray *found, GError **error)
{
    for (unsigned i = 0; i < found->len; i++) {
        const Swap *swap = found->pdata[i];
        struct guestfs_mkswap_opts_argv how = {0};

        if (swap->uuid != NULL && swap->uuid[0] != '\0') {
            how.bitmask |= GUESTFS_MKSWAP_OPTS_UUID_BITMASK;
            how.uuid = swap->uuid;
        }
        if (swap->label != NULL && swap->label[0] != '\0') {
            how.bitmask |= GUESTFS_MKSWAP_OPTS_LABEL_BITMASK;
            how.label = swap->label;
        }
        if (guestfs_mkswap_opts_argv(visit->g, swap->device, &how) == -1)
            return appliance_fail(visit->g, visit->label, "make the swap area again", error);
    }
    return true;
}

/* The appliance's udev looks at what was written, and may open a partition or a volume just now: closing waits for it. */
static bool
reread(const Visit *visit)
{
    /* Without LVM on this disk the filter may still show volumes of the next ones, which have to stay open. */
    for (unsigned i = 0; i < REREAD_ATTEMPTS; i++)
        if ((!visit->info->has_lvm || guestfs_vg_activate_all(visit->g, 0) == 0) &&
            guestfs_blockdev_rereadpt(visit->g, visit->disk) == 0)
            return true;
    return false;
}

/* The kernel takes a table only while none of the disk's partitions is in use. */
static bool
write_partitions(const Visit *visit, Table *table, const TableIo *io, uint64_t disk_bytes, GError **error)
{
    g_autoptr(GPtrArray) swap = read_swap(visit, table, error);

    if (swap == NULL || !volumes_close(visit->g, visit->info, visit->label, error) ||
        !table_write(table, io, disk_bytes, error))
        return false;
    if (!reread(visit))
        return appliance_fail(visit->g, visit->label, "read the new partition table", error);
    /* A container that is opened now has the partition's new size. */
    return make_swap(visit, swap, error) &&
           volumes_open(visit->g, visit->info, visit->keys, visit->disk, visit->label, error);
}

static bool
grow_volume(const Visit *visit, GError **error)
{
    const char *container = visit->info->expand;

    for (unsigned i = 0; visit->info->containers != NULL && i < visit->info->containers->len; i++) {
        const GuestMount *open = visit->info->containers->pdata[i];

        container = strcmp(open->device, visit->info->expand) == 0 ? open->path : container;
    }
    if (guestfs_pvresize(visit->g, container) == -1)
        return appliance_fail(visit->g, visit->label, "grow the physical volume", error);
    if (guestfs_lvresize_free(visit->g, visit->info->lvexpand, 100) == -1)
        return appliance_fail(visit->g, visit->label, "grow the logical volume", error);
    return true;
}

/* resize_mounted: @bytes 0: as large as can be */
static bool
resize_mounted(const Visit *visit, bool is_btrfs, int64_t bytes, GError **error)
{
    Appliance *g = visit->g;
    int rc;

    if (guestfs_mount(g, visit->info->root, "/") == -1)
        return appliance_fail(g, visit->label, "mount the root", error);
    if (is_btrfs && bytes > 0)
        rc = guestfs_btrfs_filesystem_resize(g, "/", GUESTFS_BTRFS_FILESYSTEM_RESIZE_SIZE, bytes, -1);
    else if (is_btrfs)
        rc = guestfs_btrfs_filesystem_resize(g, "/", -1);
    else
        rc = guestfs_xfs_growfs(g, "/", GUESTFS_XFS_GROWFS_DATASEC, 1, -1);
    if (rc == -1)
        return appliance_fail(g, visit->label, bytes > 0 ? "shrink the file system" : "grow the file system",
                              error);
    return guestfs_umount_all(g) != -1 || appliance_fail(g, visit->label, "unmount", error);
}

static bool
resize_ext(const Visit *visit, int64_t bytes, GError **error)
{
    const char *device = visit->info->root;

    /* resize2fs insists on a check; preening alone would be skipped for a clean file system. */
    if (guestfs_e2fsck(visit->g, device, GUESTFS_E2FSCK_CORRECT, 1, -1) == -1)
        return appliance_fail(visit->g, visit->label, "check the file system", error);
    if ((bytes > 0 ? guestfs_resize2fs_size(visit->g, device, bytes) : guestfs_resize2fs(visit->g, device)) ==
        -1)
        return appliance_fail(visit->g, visit->label,
                              bytes > 0 ? "shrink the file system" : "grow the file system", error);
    return true;
}

static bool
resize_root(const Visit *visit, int64_t bytes, GError **error)
{
    const char *type = visit->info->root_fs;

    if (g_str_has_prefix(type, "ext"))
        return resize_ext(visit, bytes, error);
    if (strcmp(type, "btrfs") == 0 || (strcmp(type, "xfs") == 0 && bytes == 0))
        return resize_mounted(visit, type[0] == 'b', bytes, error);
    return error_set(error, "%s: a file system of type '%s' cannot %s", visit->label, type,
                     bytes > 0 ? "shrink" : "grow");
}

/* The file system goes before the partition: a root that does not fit is refused while all is as it was. */
static bool
shrink_root(const Visit *visit, int64_t by, GError **error)
{
    g_autofree char *device = NULL;
    int64_t now;

    if (visit->info->lvexpand != NULL)
        return error_set(error, "%s: a root on LVM cannot shrink", visit->label);
    device = layout_device_of(visit->g, visit->info->root);
    now = device != NULL ? guestfs_blockdev_getsize64(visit->g, device) : -1;
    if (now == -1)
        return appliance_fail(visit->g, visit->label, "find the root's size", error);
    return resize_root(visit, now + by * (int64_t)TABLE_SECTOR, error);
}

bool
grow_disk(const Visit *visit, uint64_t disk_bytes, GError **error)
{
    const TableIo io = {read_disk, write_disk, (void *)visit, visit->label};
    g_auto(Table) table = {0};
    int number;
    int64_t by;

    if (visit->info->expand == NULL)
        return resize_root(visit, 0, error); /* no partition table: the file system is all of the disk */
    number = (int)strtol(visit->info->expand + strlen(visit->disk), NULL, 10);
    if (!table_read(&io, &table, error) || !table_shift(&table, visit->label, number, disk_bytes, &by, error))
        return false;
    if (by < 0)
        return shrink_root(visit, by, error) && write_partitions(visit, &table, &io, disk_bytes, error);
    if (by > 0 && !write_partitions(visit, &table, &io, disk_bytes, error))
        return false;
    if (visit->info->lvexpand != NULL && !grow_volume(visit, error))
        return false;
    return resize_root(visit, 0, error);
}
