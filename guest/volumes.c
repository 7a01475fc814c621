// SPDX-License-Identifier: Apache-2.0
#include "guest/volumes.h"

#include "guest/keys.h"

#include <string.h>

bool
volumes_unlock(Appliance *appliance, const GuestKeys *keys, const char *disk, const char *device,
               const char *label, char **out_map, GError **error)
{
    g_autofree char *uuid = guestfs_vfs_uuid(appliance, device);
    g_autofree char *name = g_strdup_printf("luks%s", device + strlen(disk));
    g_autofree char *what = g_strdup_printf("open the encrypted %s with the key that --key gives", device);
    unsigned at = 0;
    const char *key = keys_next(keys, disk, device, uuid, &at);

    *out_map = NULL;
    if (key == NULL)
        return true;
    for (; key != NULL; key = keys_next(keys, disk, device, uuid, &at)) {
        if (guestfs_cryptsetup_open(appliance, device, key, name, -1) == 0) {
            *out_map = g_strdup_printf("/dev/mapper/%s", name);
            return true;
        }
    }
    return appliance_fail(appliance, label, what, error);
}

bool
volumes_select(Appliance *appliance, const char *disk, const GPtrArray *containers, const char *label,
               GError **error)
{
    g_autoptr(GPtrArray) filter = g_ptr_array_new();

    g_ptr_array_add(filter, (char *)disk);
    for (unsigned i = 0; containers != NULL && i < containers->len; i++)
        g_ptr_array_add(filter, ((const GuestMount *)containers->pdata[i])->path);
    g_ptr_array_add(filter, NULL);
    if (guestfs_lvm_set_filter(appliance, (char *const *)filter->pdata) == -1)
        return appliance_fail(appliance, label, "turn LVM to this disk", error);
    return true;
}

bool
volumes_open(Appliance *appliance, const GuestInfo *info, const GuestKeys *keys, const char *disk,
             const char *label, GError **error)
{
    for (unsigned i = 0; info->containers != NULL && i < info->containers->len; i++) {
        const GuestMount *container = info->containers->pdata[i];
        g_autofree char *map = NULL;

        if (!volumes_unlock(appliance, keys, disk, container->device, label, &map, error))
            return false;
        if (g_strcmp0(map, container->path) != 0)
            return error_set(error, "%s: %s is encrypted; give its key with --key", label, container->device);
    }
    return !info->has_lvm || volumes_select(appliance, disk, info->containers, label, error);
}

bool
volumes_close(Appliance *appliance, const GuestInfo *info, const char *label, GError **error)
{
    if (info->has_lvm && guestfs_vg_activate_all(appliance, 0) == -1)
        return appliance_fail(appliance, label, "close the logical volumes", error);
    for (unsigned i = 0; info->containers != NULL && i < info->containers->len; i++)
        if (guestfs_cryptsetup_close(appliance, ((const GuestMount *)info->containers->pdata[i])->path) == -1)
            return appliance_fail(appliance, label, "close the encrypted volume", error);
    return true;
}

const char *
volumes_partition(const GuestInfo *info, const char *device)
{
    for (unsigned i = 0; info->containers != NULL && i < info->containers->len; i++) {
        const GuestMount *container = info->containers->pdata[i];

        if (strcmp(container->path, device) == 0)
            return container->device;
    }
    return device;
}
