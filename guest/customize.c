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

static bool
select_disk(Appliance *g, const char *disk, const char *label, GError **error)
{
    const char *filter[] = {disk, NULL};

    if (guestfs_vg_activate_all(g, 0) == -1 || guestfs_lvm_set_filter(g, (char *const *)filter) == -1)
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
grow(Appliance *g, const GuestInfo *info, const char *first, const char *disk, const char *label,
     GError **error)
{
    g_autofree char *expand = info->expand != NULL ? plan_device(info->expand, first, disk) : NULL;
    g_autofree char *root = plan_device(info->root, first, disk);

    return grow_disk(g, disk, expand, info->lvexpand, root, info->root_fs, label, error);
}

/* customize_disk: the edit of one disk; LVM sees this one alone */
static bool
customize_disk(Appliance *g, const GuestEdit *edit, const GuestInfo *info, const char *first,
               const char *disk, GError **error)
{
    g_autoptr(Plan) plan = plan_make(edit, info, error);

    if (plan == NULL || (edit->grow && !grow(g, info, first, disk, edit->label, error)))
        return false;
    if (plan->ops->len == 0)
        return true;
    if (!mount_all(g, info, first, disk, edit->label, error) ||
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

static bool
customize_batch(const GuestEdit *edits, unsigned n, GuestAccel accel, Progress *progress, Layout *layout,
                char **out_reason, GError **error)
{
    g_autofree char *first = appliance_disk(0);
    g_autofree ApplianceDisk *disks = g_new0(ApplianceDisk, n);
    g_autoptr(Appliance) g = NULL;

    for (unsigned i = 0; i < n; i++)
        disks[i] = (ApplianceDisk){edits[i].path, edits[i].format};
    g = appliance_launch(disks, n, false, accel, out_reason, error);
    if (g == NULL)
        return false;
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *disk = appliance_disk(i);

        if (!interrupt_check(error))
            return false;
        if (layout->info == NULL) {
            if (!layout_read(g, disk, edits[i].label, layout, error))
                return false;
        } else if (layout->has_lvm && !select_disk(g, disk, edits[i].label, error)) {
            return false;
        }
        if (!customize_disk(g, &edits[i], layout->info, first, disk, error))
            return false;
        progress_add(progress, 1);
    }
    if (layout->has_lvm && guestfs_vg_activate_all(g, 0) == -1)
        return appliance_fail(g, edits[n - 1].label, "close the logical volumes", error);
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
    g_auto(Layout) layout = {0};

    *out_reason = NULL;
    for (unsigned i = 0; i < n; i++)
        if (!plan_check(&edits[i], error))
            return false;
    for (unsigned done = 0; done < n; done += APPLIANCE_MAX_DISKS) {
        unsigned size = MIN(n - done, APPLIANCE_MAX_DISKS);

        if (!customize_batch(edits + done, size, accel, progress, &layout, out_reason, error))
            return false;
    }
    return true;
}
