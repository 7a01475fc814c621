// SPDX-License-Identifier: Apache-2.0
/*
 * Customizes the disks of many clones in one appliance launch. Clones carry the same LVM, btrfs and XFS identities,
 * so LVM sees one disk at a time and everything is unmounted before the next. Only the first disk is looked into.
 */
#include "guest/apply.h"
#include "guest/grow.h"
#include "guest/layout.h"

#include "base/fd.h"
#include "base/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

/* Batch: what the disks of one call have in common. */
typedef struct {
    Layout layout;   /* of the very first disk; empty until it was read */
    GrowTable table; /* likewise */
    char *first;     /* the name that the layout knows its disk by */
} Batch;

/* The filter's call also closes the volumes of the disk before and opens those of this one. */
static bool
select_disk(Appliance *g, const char *disk, const char *label, GError **error)
{
    const char *filter[] = {disk, NULL};

    if (guestfs_lvm_set_filter(g, (char *const *)filter) == -1)
        return appliance_fail(g, label, "turn LVM to this disk", error);
    return true;
}

static bool
mount_all(Appliance *g, const GuestInfo *info, const char *first, const char *disk, const char *label,
          GError **error)
{
    for (unsigned i = 0; i < info->mounts->len; i++) {
        const GuestMount *mount = info->mounts->pdata[i];
        g_autofree char *device = plan_device(mount->device, first, disk);
        g_autofree char *what = g_strdup_printf("mount %s", mount->path);

        if (guestfs_mount_options(g, "", device, mount->path) == -1)
            return appliance_fail(g, label, what, error);
    }
    return true;
}

static bool
disk_size(const char *path, uint64_t *out_size, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC);
    g_auto(DiskInfo) info = {0};

    if (fd < 0)
        return error_set_errno(error, "%s: cannot open", path);
    if (!disk_probe(fd, path, &info, error))
        return false;
    *out_size = info.virtual_size;
    return true;
}

static bool
grow(Appliance *g, Batch *batch, const GuestEdit *edit, const char *disk, GError **error)
{
    const GuestInfo *info = batch->layout.info;
    g_autofree char *expand = info->expand != NULL ? plan_device(info->expand, batch->first, disk) : NULL;
    g_autofree char *root = plan_device(info->root, batch->first, disk);
    GrowDisk target = {disk, expand, info->lvexpand, root, info->root_fs, 0, edit->label};

    return disk_size(edit->path, &target.size, error) && grow_disk(g, &batch->table, &target, error);
}

/* customize_disk: the edit of one disk; LVM sees this one alone */
static bool
customize_disk(Appliance *g, Batch *batch, const GuestEdit *edit, const char *disk, GError **error)
{
    const GuestInfo *info = batch->layout.info;
    g_autoptr(Plan) plan = plan_make(edit, info, error);

    if (plan == NULL || (edit->grow && !grow(g, batch, edit, disk, error)))
        return false;
    if (plan->ops->len == 0)
        return true;
    if (!mount_all(g, info, batch->first, disk, edit->label, error) ||
        !apply_plan(g, plan, info->has_selinux, edit->label, error))
        return false;
    if (guestfs_umount_all(g) == -1)
        return appliance_fail(g, edit->label, "unmount", error);
    return true;
}

/* The appliance's disks have no cache discipline at all (cachemode "unsafe"), so this is the one moment of truth. */
static bool
sync_disk(const char *path, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return error_set_errno(error, "%s: cannot sync", path);
    return true;
}

/* customize_one: disk number @index of this launch, whatever it takes */
static bool
customize_one(Appliance *g, Batch *batch, const GuestEdit *edit, unsigned index, GError **error)
{
    g_autofree char *disk = appliance_disk(index);

    if (!interrupt_check(error))
        return false;
    if (batch->layout.info == NULL) {
        if (!layout_read(g, disk, edit->label, &batch->layout, error))
            return false;
    } else if (batch->layout.has_lvm && !select_disk(g, disk, edit->label, error)) {
        return false;
    }
    return customize_disk(g, batch, edit, disk, error);
}

static bool
customize_batch(const GuestEdit *edits, unsigned n, GuestAccel accel, Progress *progress, Batch *batch,
                char **out_reason, GError **error)
{
    g_autofree ApplianceDisk *disks = g_new0(ApplianceDisk, n);
    g_autoptr(Appliance) g = NULL;

    for (unsigned i = 0; i < n; i++)
        disks[i] = (ApplianceDisk){edits[i].path, edits[i].format};
    g = appliance_launch(disks, n, false, accel, out_reason, error);
    if (g == NULL)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!customize_one(g, batch, &edits[i], i, error))
            return false;
        progress_add(progress, 1);
    }
    if (!appliance_finish(g, edits[n - 1].label, error))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!sync_disk(edits[i].path, error))
            return false;
    return true;
}

bool
guest_customize(const GuestEdit *edits, unsigned n, GuestAccel accel, Progress *progress, char **out_reason,
                GError **error)
{
    g_autofree char *first = appliance_disk(0);
    Batch batch = {.first = first};
    bool ok = true;

    *out_reason = NULL;
    for (unsigned i = 0; i < n; i++)
        if (!plan_check(&edits[i], error))
            return false;
    for (unsigned done = 0; done < n && ok; done += APPLIANCE_MAX_DISKS)
        ok = customize_batch(edits + done, MIN(n - done, APPLIANCE_MAX_DISKS), accel, progress, &batch,
                             out_reason, error);
    layout_clear(&batch.layout);
    return ok;
}
