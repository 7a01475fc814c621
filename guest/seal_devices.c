// SPDX-License-Identifier: Apache-2.0
/* What of a guest's identity lies outside its files: the UUIDs of LVM and of file systems, and what swap still holds. */
#include "guest/seal_work.h"
#include "guest/text.h"

#include <string.h>

/* Where systems keep the UUIDs that they boot by. */
static const char UUID_FILES[] = "/{"
                                 "etc/{fstab,crypttab,default/grub,kernel/cmdline},"
                                 "etc/initramfs-tools/conf.d/resume,"
                                 "etc/grub.d/40_custom,"
                                 "boot/{grub,grub2}/{grub.cfg,grubenv,menu.lst},"
                                 "boot/loader/entries/*.conf,"
                                 "boot/efi/EFI/*/grub.cfg,"
                                 "boot/efi/loader/entries/*.conf,"
                                 "boot/{extlinux,syslinux}/*.{conf,cfg}"
                                 "}";

static bool
is_on_disk(const char *device, const char *disk)
{
    size_t length = strlen(disk);

    return strncmp(device, disk, length) == 0 && (device[length] == '\0' || g_ascii_isdigit(device[length]));
}

/* (transfer full) those of @devices that are on this guest's disk */
static char **
only_ours(const SealWork *work, char *const *devices)
{
    GPtrArray *ours = g_ptr_array_new();

    for (; *devices != NULL; devices++)
        if (is_on_disk(*devices, work->visit->disk))
            g_ptr_array_add(ours, g_strdup(*devices));
    g_ptr_array_add(ours, NULL);
    return (char **)g_ptr_array_free(ours, FALSE);
}

/* ---- LVM ---- */

/* GRUB is told by these UUIDs where /boot is, if that lies on a logical volume: its image in the boot sector would have to be
 * written anew. */
static bool
boots_from_volume(const SealWork *work)
{
    const GPtrArray *mounts = work->visit->info->mounts;
    const char *device = work->visit->info->root;

    for (unsigned i = 0; i < mounts->len; i++) {
        const GuestMount *mount = mounts->pdata[i];

        if (strcmp(mount->path, "/boot") == 0)
            device = mount->device;
    }
    return !is_on_disk(g_str_has_prefix(device, "btrfsvol:") ? device + strlen("btrfsvol:") : device,
                       work->visit->disk);
}

static bool
change_volumes(const SealWork *work, char *const *volumes, GError **error)
{
    Appliance *g = work->visit->g;
    g_auto(GStrv) groups = guestfs_vgs(g);

    if (groups == NULL || guestfs_vg_activate_all(g, 0) == -1)
        return seal_fail(work, "close the volumes of", work->visit->disk, error);
    for (; *volumes != NULL; volumes++)
        if (guestfs_pvchange_uuid(g, *volumes) == -1)
            return seal_fail(work, "change the UUID of", *volumes, error);
    for (char **group = groups; *group != NULL; group++)
        if (guestfs_vgchange_uuid(g, *group) == -1)
            return seal_fail(work, "change the UUID of", *group, error);
    return guestfs_vg_activate_all(g, 1) != -1 ||
           seal_fail(work, "open the volumes of", work->visit->disk, error);
}

static bool
lvm_uuids(const SealWork *work, GError **error)
{
    g_auto(GStrv) all = guestfs_pvs(work->visit->g);
    g_auto(GStrv) ours = all != NULL ? only_ours(work, all) : NULL;

    if (ours == NULL)
        return seal_fail(work, "list the physical volumes of", work->visit->disk, error);
    if (ours[0] == NULL)
        return true;
    if (boots_from_volume(work)) {
        seal_note(work, "lvm-uuids: the UUIDs stay, since the boot loader finds /boot by them");
        return true;
    }
    for (char **volume = ours; *volume != NULL; volume++)
        seal_tell(work, seal_row("lvm-uuids"), *volume, 0);
    return work->job->is_dry_run || change_volumes(work, ours, error);
}

/* ---- file systems ---- */

static bool
is_known(const SealWork *work, const char *uuid)
{
    for (unsigned i = 0; i < work->uuids->len; i++)
        if (strcmp(work->uuids->pdata[i], uuid) == 0)
            return true;
    return false;
}

/* tune2fs gives a new UUID only to what was checked since it was mounted last. */
static bool
check_ext(const SealWork *work, const char *device, GError **error)
{
    g_autofree char *type = guestfs_vfs_type(work->visit->g, device);

    if (type == NULL || !g_str_has_prefix(type, "ext"))
        return true;
    return guestfs_e2fsck(work->visit->g, device, GUESTFS_E2FSCK_CORRECT, 1, -1) != -1 ||
           seal_fail(work, "check", device, error);
}

static bool
fs_uuid(const SealWork *work, const char *device, GError **error)
{
    Appliance *g = work->visit->g;
    g_autofree char *old = guestfs_vfs_uuid(g, device);
    g_autofree char *new = NULL;

    if (old == NULL)
        return seal_fail(work, "read the UUID of", device, error);
    if (old[0] == '\0' || is_known(work, old))
        return true;
    if (work->job->is_dry_run) {
        seal_tell(work, seal_row("fs-uuids"), device, 0);
        return true;
    }
    if (!check_ext(work, device, error))
        return false;
    if (guestfs_set_uuid_random(g, device) == -1) {
        seal_note(work, "fs-uuids: %s keeps its UUID: %s", device, guestfs_last_error(g));
        return true;
    }
    new = guestfs_vfs_uuid(g, device);
    if (new == NULL)
        return seal_fail(work, "read the UUID of", device, error);
    seal_tell(work, seal_row("fs-uuids"), device, 0);
    g_ptr_array_add(work->uuids, g_steal_pointer(&old));
    g_ptr_array_add(work->uuids, g_steal_pointer(&new));
    return true;
}

static bool
fs_uuids(const SealWork *work, GError **error)
{
    const GPtrArray *mounts = work->visit->info->mounts;

    for (unsigned i = 0; i < mounts->len; i++) {
        const GuestMount *mount = mounts->pdata[i];
        g_autofree char *device = text_mountable_device(mount->device);

        if (device == NULL)
            device = guestfs_mountable_device(work->visit->g, mount->device);
        if (device == NULL || !fs_uuid(work, device, error))
            return device != NULL || seal_fail(work, "find the device of", mount->device, error);
    }
    return true;
}

static bool
replace_uuids(const SealWork *work, const char *path, GError **error)
{
    g_autofree char *old = appliance_read(work->visit->g, path, work->visit->label, error);
    g_autoptr(GString) new = old != NULL ? g_string_new(old) : NULL;

    if (old == NULL)
        return false;
    for (unsigned i = 0; i + 1 < work->uuids->len; i += 2)
        g_string_replace(new, work->uuids->pdata[i], work->uuids->pdata[i + 1], 0);
    return seal_rewrite(work, seal_row("fs-uuids"), path, old, new->str, error);
}

bool
seal_uuids(const SealWork *work, GError **error)
{
    g_auto(GStrv) paths = NULL;

    if (work->uuids->len == 0)
        return true;
    paths =
        guestfs_glob_expand_opts(work->visit->g, UUID_FILES, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);
    if (paths == NULL)
        return seal_fail(work, "search", "/boot", error);
    for (char **path = paths; *path != NULL; path++)
        if (!replace_uuids(work, *path, error))
            return false;
    return true;
}

/* ---- swap ---- */

/* The old content is given back to the host; an image that cannot do that keeps it. */
static bool
empty_swap(const SealWork *work, const char *device, GError **error)
{
    Appliance *g = work->visit->g;
    g_autofree char *uuid = guestfs_vfs_uuid(g, device), *label = guestfs_vfs_label(g, device);
    int rc;

    if (uuid == NULL || label == NULL)
        return seal_fail(work, "read the UUID of", device, error);
    if (guestfs_blkdiscard(g, device) == -1) {
        seal_note(work, "swap-data: %s keeps its data: %s", device, guestfs_last_error(g));
        return true;
    }
    rc = label[0] != '\0' ? guestfs_mkswap_opts(g, device, GUESTFS_MKSWAP_OPTS_UUID, uuid,
                                                GUESTFS_MKSWAP_OPTS_LABEL, label, -1)
                          : guestfs_mkswap_opts(g, device, GUESTFS_MKSWAP_OPTS_UUID, uuid, -1);
    return rc != -1 || seal_fail(work, "make swap on", device, error);
}

static bool
swap_data(const SealWork *work, GError **error)
{
    Appliance *g = work->visit->g;
    g_auto(GStrv) all = guestfs_list_partitions(g);
    g_auto(GStrv) ours = all != NULL ? only_ours(work, all) : NULL;

    if (ours == NULL)
        return seal_fail(work, "list the partitions of", work->visit->disk, error);
    for (char **device = ours; *device != NULL; device++) {
        g_autofree char *type = guestfs_vfs_type(g, *device);

        if (g_strcmp0(type, "swap") != 0)
            continue;
        if (!work->job->is_dry_run && !empty_swap(work, *device, error))
            return false;
        seal_tell(work, seal_row("swap-data"), *device, 0);
    }
    return true;
}

bool
seal_devices(const SealWork *work, GError **error)
{
    return (!seal_is_chosen(work, "lvm-uuids") || lvm_uuids(work, error)) &&
           (!seal_is_chosen(work, "fs-uuids") || fs_uuids(work, error)) &&
           (!seal_is_chosen(work, "swap-data") || swap_data(work, error));
}

bool
seal_trim(const SealWork *work, GError **error)
{
    static const char *const FEATURE[] = {"fstrim", NULL};
    const GPtrArray *mounts = work->visit->info->mounts;
    Appliance *g = work->visit->g;

    if (guestfs_feature_available(g, (char *const *)FEATURE) != 1) {
        seal_note(work, "the appliance has no fstrim, so the image does not shrink");
        return true;
    }
    for (unsigned i = 0; i < mounts->len; i++) {
        const GuestMount *mount = mounts->pdata[i];

        if (guestfs_fstrim(g, mount->path, -1) == -1)
            seal_note(work, "%s is not trimmed: %s", mount->path, guestfs_last_error(g));
    }
    return guestfs_sync(g) != -1 || seal_fail(work, "write back", work->visit->disk, error);
}
