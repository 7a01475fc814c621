// SPDX-License-Identifier: Apache-2.0
/* The records of what is inside a guest: mounts, packages, and their end. */
#include "guest/layout.h"

#include <string.h>

static void
mount_free(GuestMount *mount)
{
    g_free(mount->device);
    g_free(mount->path);
    g_free(mount);
}

static void
add_mount(GPtrArray **mounts, const char *device, const char *path)
{
    GuestMount *mount = g_new0(GuestMount, 1);

    mount->device = g_strdup(device);
    mount->path = g_strdup(path);
    if (*mounts == NULL)
        *mounts = g_ptr_array_new_with_free_func((GDestroyNotify)mount_free);
    g_ptr_array_add(*mounts, mount);
}

void
layout_add_mount(GuestInfo *info, const char *device, const char *path)
{
    add_mount(&info->mounts, device, path);
}

void
layout_add_container(GuestInfo *info, const char *device, const char *path)
{
    add_mount(&info->containers, device, path);
}

static int
by_length(gconstpointer a, gconstpointer b)
{
    const GuestMount *first = *(GuestMount *const *)a, *second = *(GuestMount *const *)b;
    size_t first_length = strlen(first->path), second_length = strlen(second->path);

    return (first_length > second_length) - (first_length < second_length);
}

void
layout_sort_mounts(GuestInfo *info)
{
    g_ptr_array_sort(info->mounts, by_length);
}

/* "/dev/vg/root" is the same on every clone: the LVM filter decides whose it is. */
char *
layout_device(const char *device, const char *from, const char *to)
{
    const char *at = device != NULL ? strstr(device, from) : NULL;

    if (at == NULL || g_ascii_isalpha(at[strlen(from)]))
        return g_strdup(device);
    return g_strdup_printf("%.*s%s%s", (int)(at - device), device, to, at + strlen(from));
}

GuestInfo *
layout_on_disk(const GuestInfo *info, const char *from, const char *to)
{
    GuestInfo *copy = g_new0(GuestInfo, 1);

    *copy = (GuestInfo){.type = g_strdup(info->type),
                        .distro = g_strdup(info->distro),
                        .major = info->major,
                        .minor = info->minor,
                        .root = layout_device(info->root, from, to),
                        .root_fs = g_strdup(info->root_fs),
                        .expand = layout_device(info->expand, from, to),
                        .lvexpand = g_strdup(info->lvexpand),
                        .package_manager = g_strdup(info->package_manager),
                        .hostname = g_strdup(info->hostname),
                        .has_cloud_init = info->has_cloud_init,
                        .has_selinux = info->has_selinux};
    for (guint i = 0; i < info->mounts->len; i++) {
        const GuestMount *mount = info->mounts->pdata[i];
        g_autofree char *device = layout_device(mount->device, from, to);

        layout_add_mount(copy, device, mount->path);
    }
    copy->has_lvm = info->has_lvm;
    for (guint i = 0; info->containers != NULL && i < info->containers->len; i++) {
        const GuestMount *container = info->containers->pdata[i];
        g_autofree char *device = layout_device(container->device, from, to);

        layout_add_container(copy, device, container->path);
    }
    return copy;
}

void
guest_info_free(GuestInfo *info)
{
    if (info == NULL)
        return;
    g_free(info->type);
    g_free(info->distro);
    g_free(info->product);
    g_free(info->osinfo);
    g_free(info->arch);
    g_free(info->root);
    g_free(info->root_fs);
    g_free(info->expand);
    g_free(info->lvexpand);
    g_free(info->package_manager);
    g_free(info->version);
    g_free(info->hostname);
    g_free(info->firmware);
    g_clear_pointer(&info->mounts, g_ptr_array_unref);
    g_clear_pointer(&info->containers, g_ptr_array_unref);
    g_clear_pointer(&info->packages, g_ptr_array_unref);
    g_free(info);
}

void
guest_package_free(GuestPackage *package)
{
    g_free(package->name);
    g_free(package->version);
    g_free(package->arch);
    g_free(package->source);
    g_free(package->vendor);
    g_free(package);
}

void
guest_subject_clear(GuestSubject *subject)
{
    g_clear_pointer(&subject->info, guest_info_free);
    g_clear_error(&subject->error);
}

GuestDisk *
guest_disk_new(const char *path, const char *format)
{
    GuestDisk *disk = g_new0(GuestDisk, 1);

    disk->path = g_strdup(path);
    disk->format = g_strdup(format);
    return disk;
}

void
guest_disk_free(GuestDisk *disk)
{
    if (disk == NULL)
        return;
    g_free(disk->path);
    g_free(disk->format);
    g_free(disk);
}
