// SPDX-License-Identifier: Apache-2.0
/*
 * Several disks in one launch. libguestfs's inspection looks at all disks of an appliance at once and was made for one
 * guest: file systems with one UUID, volume groups with one name, or an fstab that says /dev/sda2 would lead from one
 * disk to another. Whatever could be taken for something else is therefore inspected again, alone.
 */
#include "base/interrupt.h"
#include "guest/inspect.h"
#include "guest/text.h"

#include <string.h>

#define BATCH (APPLIANCE_MAX_DISKS - 1) /* the appliance's own disk is one more */

/* The number of the disk that @device ("/dev/sdb1") is on; -1: a logical volume, RAID or nothing here. */
static int
disk_of(const char *device, unsigned n)
{
    g_autofree char *plain = text_mountable_device(device);
    g_autofree char *disk = plain != NULL && g_str_has_prefix(plain, "/dev/sd") ? g_strndup(plain, 8) : NULL;
    int number = disk != NULL ? disk[7] - 'a' : -1;

    return number >= 0 && number < (int)n ? number : -1;
}

/* Set @is_alone for disks with LVM and for those that share a file system's UUID. */
static void
find_lookalikes(Appliance *g, bool *is_alone, unsigned n)
{
    g_autoptr(GHashTable) owners = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(GStrv) physical = guestfs_pvs(g);
    g_auto(GStrv) found = guestfs_list_filesystems(g); /* device, type, device, type ... */

    for (unsigned i = 0; physical != NULL && physical[i] != NULL; i++) {
        int disk = disk_of(physical[i], n);

        if (disk >= 0)
            is_alone[disk] = true;
    }
    for (unsigned i = 0; found != NULL && found[i] != NULL && found[i + 1] != NULL; i += 2) {
        int disk = disk_of(found[i], n);
        g_autofree char *uuid = disk >= 0 ? guestfs_vfs_uuid(g, found[i]) : NULL;
        gpointer owner;

        if (uuid == NULL || uuid[0] == '\0')
            continue;
        if (g_hash_table_lookup_extended(owners, uuid, NULL, &owner) && GPOINTER_TO_INT(owner) != disk)
            is_alone[disk] = is_alone[GPOINTER_TO_INT(owner)] = true;
        else
            g_hash_table_insert(owners, g_steal_pointer(&uuid), GINT_TO_POINTER(disk));
    }
}

/* The device as it is called when the disk is the only one. */
static void
rename_device(char **device, const char *disk)
{
    if (*device != NULL && g_str_has_prefix(*device, disk))
        (*device)[strlen(disk) - 1] = 'a';
}

static bool
is_all_on(const GuestInfo *info, int disk, unsigned n)
{
    for (guint i = 0; i < info->mounts->len; i++) {
        const GuestMount *mount = g_ptr_array_index(info->mounts, i);

        if (disk_of(mount->device, n) != disk)
            return false;
    }
    return true;
}

static void
rename_all(GuestInfo *info, const char *disk)
{
    rename_device(&info->root, disk);
    rename_device(&info->expand, disk);
    for (guint i = 0; i < info->mounts->len; i++)
        rename_device(&((GuestMount *)g_ptr_array_index(info->mounts, i))->device, disk);
}

/* Fill in the subjects whose one system is beyond doubt. What goes wrong is left for a look at that disk alone. */
static void
inspect_together(Appliance *g, GuestSubject *subjects, unsigned n, bool want_packages)
{
    g_autofree bool *is_alone = g_new0(bool, n);
    g_autofree unsigned *n_roots = g_new0(unsigned, n);
    g_auto(GStrv) roots = NULL;

    find_lookalikes(g, is_alone, n);
    roots = guestfs_inspect_os(g);
    for (unsigned i = 0; roots != NULL && roots[i] != NULL; i++) {
        int disk = disk_of(roots[i], n);

        if (disk >= 0)
            n_roots[disk]++;
    }
    for (unsigned i = 0; roots != NULL && roots[i] != NULL; i++) {
        int number = disk_of(roots[i], n);
        g_autofree char *disk = number >= 0 ? appliance_disk((unsigned)number) : NULL;
        g_autoptr(GuestInfo) info = NULL;

        if (disk == NULL || is_alone[number] || n_roots[number] != 1)
            continue;
        info = inspect_root(g, roots[i], disk, want_packages, subjects[number].path, NULL);
        if (info == NULL) {
            guestfs_umount_all(g);
        } else if (is_all_on(info, number, n)) {
            rename_all(info, disk);
            subjects[number].info = g_steal_pointer(&info);
        }
    }
}

static GuestInfo *
inspect_alone(const GuestSubject *subject, GuestAccel accel, bool want_packages, char **out_reason,
              GError **error)
{
    const ApplianceDisk disk = {subject->path, subject->format};
    const ApplianceOptions options = {.accel = accel, .is_read_only = true};
    g_autoptr(Appliance) g = appliance_launch(&disk, 1, &options, out_reason, error);
    g_autofree char *name = appliance_disk(0);
    g_auto(GStrv) roots = g != NULL ? guestfs_inspect_os(g) : NULL;

    if (g == NULL)
        return NULL;
    if (roots == NULL) {
        appliance_fail(g, subject->path, "inspect the disk", error);
        return NULL;
    }
    if (g_strv_length(roots) != 1) {
        error_set(error, "%s: holds %u operating systems, where one is expected", subject->path,
                  g_strv_length(roots));
        return NULL;
    }
    return inspect_root(g, roots[0], name, want_packages, subject->path, error);
}

static void
inspect_batch(GuestSubject *subjects, unsigned n, GuestAccel accel, bool want_packages, char **out_reason)
{
    const ApplianceOptions options = {.accel = accel, .is_read_only = true};
    g_autofree ApplianceDisk *disks = g_new(ApplianceDisk, n);
    g_autoptr(Appliance) g = NULL;

    for (unsigned i = 0; i < n; i++)
        disks[i] = (ApplianceDisk){subjects[i].path, subjects[i].format};
    /* One damaged disk can stop the launch: then each gets its own, and the error with its name on it. */
    g = appliance_launch(disks, n, &options, out_reason, NULL);
    if (g != NULL)
        inspect_together(g, subjects, n, want_packages);
}

bool
guest_inspect(GuestSubject *subjects, unsigned n, GuestAccel accel, bool want_packages, char **out_reason,
              GError **error)
{
    *out_reason = NULL;
    for (unsigned i = 0; i < n && n > 1 && interrupt_check(NULL); i += BATCH)
        inspect_batch(subjects + i, MIN(n - i, BATCH), accel, want_packages, out_reason);
    for (unsigned i = 0; i < n; i++) {
        if (!interrupt_check(error))
            return false;
        if (subjects[i].info == NULL)
            subjects[i].info =
                inspect_alone(&subjects[i], accel, want_packages, out_reason, &subjects[i].error);
    }
    return interrupt_check(error);
}
