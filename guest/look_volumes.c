// SPDX-License-Identifier: Apache-2.0
/* What lies on a guest's disks: partitions, LVM, file systems, and how full these are. */
#include "guest/text.h"
#include "guest/view.h"

#include <stdlib.h>
#include <string.h>

static void
volume_free(GuestVolume *volume)
{
    g_free(volume->name);
    g_free(volume->fs);
    g_free(volume->label);
    g_free(volume->uuid);
    g_free(volume->parent);
    g_free(volume);
}

/* @name: (transfer full); the size is not known where it cannot be had */
static GuestVolume *
add(GuestView *view, GPtrArray *volumes, const char *kind, char *name)
{
    GuestVolume *volume = g_new0(GuestVolume, 1);
    int64_t size;

    volume->kind = kind;
    volume->name = name;
    volume->mbr_id = -1;
    if (strcmp(kind, "vg") != 0) {
        g_autofree char *device = text_mountable_device(name);

        size = guestfs_blockdev_getsize64(view->g, device != NULL ? device : name);
        volume->size = size > 0 ? (uint64_t)size : 0;
    }
    g_ptr_array_add(volumes, volume);
    return volume;
}

static char *
or_null(char *text)
{
    if (text != NULL && text[0] == '\0')
        g_clear_pointer(&text, g_free);
    return text;
}

static bool
add_filesystems(GuestView *view, GPtrArray *volumes, bool is_all, GError **error)
{
    g_auto(GStrv) found = guestfs_list_filesystems(view->g); /* device, type, device, type ... */

    if (found == NULL)
        return appliance_fail(view->g, view->label, "list the file systems", error);
    for (unsigned i = 0; found[i] != NULL && found[i + 1] != NULL; i += 2) {
        bool is_mountable = strcmp(found[i + 1], "swap") != 0 && strcmp(found[i + 1], "unknown") != 0;
        GuestVolume *volume;

        if (!is_mountable && !is_all)
            continue;
        volume = add(view, volumes, "filesystem", g_strdup(found[i]));
        volume->fs = g_strdup(found[i + 1]);
        volume->label = or_null(guestfs_vfs_label(view->g, found[i]));
        volume->uuid = or_null(guestfs_vfs_uuid(view->g, found[i]));
    }
    return true;
}

static bool
add_partitions(GuestView *view, GPtrArray *volumes, GError **error)
{
    g_auto(GStrv) found = guestfs_list_partitions(view->g);

    if (found == NULL)
        return appliance_fail(view->g, view->label, "list the partitions", error);
    for (unsigned i = 0; found[i] != NULL; i++) {
        GuestVolume *volume = add(view, volumes, "partition", g_strdup(found[i]));
        g_autofree char *table = NULL;

        volume->parent = guestfs_part_to_dev(view->g, found[i]);
        table = volume->parent != NULL ? guestfs_part_get_parttype(view->g, volume->parent) : NULL;
        if (g_strcmp0(table, "msdos") == 0)
            volume->mbr_id =
                guestfs_part_get_mbr_id(view->g, volume->parent, guestfs_part_to_partnum(view->g, found[i]));
    }
    return true;
}

static bool
add_lvm(GuestView *view, GPtrArray *volumes, GError **error)
{
    g_auto(GStrv) physical = guestfs_pvs(view->g);
    g_auto(GStrv) groups = physical != NULL ? guestfs_vgs(view->g) : NULL;
    g_auto(GStrv) logical = groups != NULL ? guestfs_lvs(view->g) : NULL;

    if (logical == NULL)
        return appliance_fail(view->g, view->label, "list what LVM has", error);
    for (unsigned i = 0; physical[i] != NULL; i++) {
        GuestVolume *volume = add(view, volumes, "pv", g_strdup(physical[i]));

        volume->uuid = guestfs_pvuuid(view->g, physical[i]);
    }
    for (unsigned i = 0; groups[i] != NULL; i++) {
        GuestVolume *volume = add(view, volumes, "vg", g_strconcat("/dev/", groups[i], NULL));

        volume->uuid = guestfs_vguuid(view->g, groups[i]);
    }
    for (unsigned i = 0; logical[i] != NULL; i++) {
        GuestVolume *volume = add(view, volumes, "lv", g_strdup(logical[i]));

        volume->uuid = guestfs_lvuuid(view->g, logical[i]);
        volume->parent = g_path_get_dirname(logical[i]);
    }
    return true;
}

static bool
add_devices(GuestView *view, GPtrArray *volumes, GError **error)
{
    g_auto(GStrv) found = guestfs_list_devices(view->g);

    if (found == NULL)
        return appliance_fail(view->g, view->label, "list the disks", error);
    for (unsigned i = 0; found[i] != NULL; i++)
        add(view, volumes, "device", g_strdup(found[i]));
    return true;
}

GPtrArray *
guest_view_volumes(GuestView *view, bool is_all, GError **error)
{
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free);

    if (!add_filesystems(view, volumes, is_all, error))
        return NULL;
    if (is_all && (!add_partitions(view, volumes, error) || !add_lvm(view, volumes, error) ||
                   !add_devices(view, volumes, error)))
        return NULL;
    return g_steal_pointer(&volumes);
}

static void
usage_free(GuestUsage *usage)
{
    g_free(usage->name);
    g_free(usage);
}

/* What cannot be mounted is told, and the others are looked at all the same. */
static void
add_usage(GuestView *view, const char *name, GPtrArray *usages)
{
    struct guestfs_statvfs *found =
        guestfs_mount_ro(view->g, name, "/") != -1 ? guestfs_statvfs(view->g, "/") : NULL;

    if (found == NULL) {
        g_ptr_array_add(view->warnings, g_strdup_printf("%s: cannot look at %s: %s", view->label, name,
                                                        guestfs_last_error(view->g)));
    } else {
        GuestUsage *usage = g_new0(GuestUsage, 1);
        uint64_t unit = (uint64_t)found->frsize;

        usage->name = g_strdup(name);
        usage->size = (uint64_t)found->blocks * unit;
        usage->used = (uint64_t)(found->blocks - found->bfree) * unit;
        usage->available = (uint64_t)found->bavail * unit;
        usage->inodes = (uint64_t)found->files;
        usage->free_inodes = (uint64_t)found->ffree;
        g_ptr_array_add(usages, usage);
        guestfs_free_statvfs(found);
    }
    guestfs_umount_all(view->g);
}

GPtrArray *
guest_view_usage(GuestView *view, GError **error)
{
    g_autoptr(GPtrArray) usages = g_ptr_array_new_with_free_func((GDestroyNotify)usage_free);
    g_autoptr(GPtrArray) volumes = guest_view_volumes(view, false, error);

    for (guint i = 0; volumes != NULL && i < volumes->len; i++) {
        const GuestVolume *volume = volumes->pdata[i];

        if (strcmp(volume->fs, "crypto_LUKS") != 0)
            add_usage(view, volume->name, usages);
    }
    return volumes != NULL ? g_steal_pointer(&usages) : NULL;
}
