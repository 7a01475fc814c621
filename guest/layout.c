// SPDX-License-Identifier: Apache-2.0
/*
 * Finds the Linux root of one disk: every partition and logical volume is tried, the one with an os-release file is
 * it, and its fstab says what else to mount. Windows is for guest_inspect() to describe.
 */
#include "guest/layout.h"

#include "guest/packages.h"
#include "guest/text.h"
#include "guest/volumes.h"

#include <stdlib.h>
#include <string.h>

/* Subvolumes that hold the root where the file system's default subvolume does not: Ubuntu, Fedora, Debian. */
static const char *const ROOT_SUBVOLUMES[] = {"@", "root", "@rootfs"};

/* Volume: something that may hold a file system, with the names that an fstab can call it by. */
typedef struct {
    char *device;
    char *type, *uuid, *label, *part_uuid, *part_label; /* NULL where there is none */
} Volume;

static void
volume_free(Volume *volume)
{
    g_free(volume->device);
    g_free(volume->type);
    g_free(volume->uuid);
    g_free(volume->label);
    g_free(volume->part_uuid);
    g_free(volume->part_label);
    g_free(volume);
}

static char *
tag(char *const *tags, const char *name)
{
    for (unsigned i = 0; tags[i] != NULL && tags[i + 1] != NULL; i += 2)
        if (strcmp(tags[i], name) == 0)
            return g_strdup(tags[i + 1]);
    return NULL;
}

static Volume *
probe_volume(Appliance *g, const char *device)
{
    Volume *volume = g_new0(Volume, 1);
    g_auto(GStrv) tags = guestfs_blkid(g, device);

    volume->device = g_strdup(device);
    if (tags == NULL) /* blkid fails on a volume that holds nothing */
        return volume;
    volume->type = tag(tags, "TYPE");
    volume->uuid = tag(tags, "UUID");
    volume->label = tag(tags, "LABEL");
    volume->part_uuid = tag(tags, "PART_ENTRY_UUID");
    volume->part_label = tag(tags, "PART_ENTRY_NAME");
    return volume;
}

static bool
is_type(const Volume *volume, const char *type)
{
    return g_strcmp0(volume->type, type) == 0;
}

/* is_on_disk: "/dev/sda1" is on "/dev/sda" */
static bool
is_on_disk(const char *partition, const char *disk)
{
    size_t length = strlen(disk);

    return strncmp(partition, disk, length) == 0 && g_ascii_isdigit(partition[length]);
}

static bool
add_logical_volumes(Appliance *g, const GuestInfo *info, const char *disk, const char *label,
                    GPtrArray *volumes, GError **error)
{
    g_auto(GStrv) names = NULL;

    if (!volumes_select(g, disk, info->containers, label, error))
        return false;
    names = guestfs_lvs(g);
    if (names == NULL)
        return appliance_fail(g, label, "read the logical volumes", error);
    for (unsigned i = 0; names[i] != NULL; i++)
        g_ptr_array_add(volumes, probe_volume(g, names[i]));
    return true;
}

/* What the keys open is one more volume. Without a key a container stays what it is: perhaps nobody needs it. */
static bool
add_encrypted(Appliance *g, GuestInfo *info, const GuestKeys *keys, const char *disk, const char *label,
              GPtrArray *volumes, GError **error)
{
    unsigned n = volumes->len;

    for (unsigned i = 0; i < n; i++) {
        const Volume *volume = volumes->pdata[i];
        g_autofree char *map = NULL;

        if (!is_type(volume, "crypto_LUKS"))
            continue;
        if (!volumes_unlock(g, keys, disk, volume->device, label, &map, error))
            return false;
        if (map == NULL)
            continue;
        layout_add_container(info, volume->device, map);
        g_ptr_array_add(volumes, probe_volume(g, map));
    }
    return true;
}

/* list_volumes: (element-type Volume) (transfer full) what lies on @disk */
static GPtrArray *
list_volumes(Appliance *g, GuestInfo *info, const GuestKeys *keys, const char *disk, const char *label,
             GError **error)
{
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free);
    g_auto(GStrv) partitions = guestfs_list_partitions(g);

    if (partitions == NULL) {
        appliance_fail(g, label, "list the partitions", error);
        return NULL;
    }
    for (unsigned i = 0; partitions[i] != NULL; i++)
        if (is_on_disk(partitions[i], disk))
            g_ptr_array_add(volumes, probe_volume(g, partitions[i]));
    if (volumes->len == 0)
        g_ptr_array_add(volumes, probe_volume(g, disk));
    if (!add_encrypted(g, info, keys, disk, label, volumes, error))
        return NULL;
    for (unsigned i = 0; i < volumes->len; i++)
        info->has_lvm = info->has_lvm || is_type(volumes->pdata[i], "LVM2_member");
    if (info->has_lvm && !add_logical_volumes(g, info, disk, label, volumes, error))
        return NULL;
    return g_steal_pointer(&volumes);
}

static bool
holds_system(Appliance *g)
{
    return guestfs_exists(g, "/etc/os-release") == 1 || guestfs_exists(g, "/usr/lib/os-release") == 1;
}

/* mount_if_root: @mountable is mounted at "/" if it holds a Linux system; else nothing is */
static bool
mount_if_root(Appliance *g, const char *mountable)
{
    if (guestfs_mount_ro(g, mountable, "/") == -1)
        return false;
    if (holds_system(g))
        return true;
    guestfs_umount_all(g);
    return false;
}

/* root_of: (transfer full) the mountable of a Linux root in @volume, mounted; NULL where it holds none */
static char *
root_of(Appliance *g, const Volume *volume)
{
    static const char *const NO_ROOT[] = {"swap", "vfat", "LVM2_member", "crypto_LUKS", "linux_raid_member",
                                          NULL};

    if (volume->type == NULL || g_strv_contains(NO_ROOT, volume->type))
        return NULL;
    if (mount_if_root(g, volume->device))
        return g_strdup(volume->device);
    for (unsigned i = 0; is_type(volume, "btrfs") && i < G_N_ELEMENTS(ROOT_SUBVOLUMES); i++) {
        g_autofree char *mountable = g_strdup_printf("btrfsvol:%s/%s", volume->device, ROOT_SUBVOLUMES[i]);

        if (mount_if_root(g, mountable))
            return g_steal_pointer(&mountable);
    }
    return NULL;
}

/* partition_number: of "/dev/vda2", "/dev/nvme0n1p2" and the like on a guest's first disk; NULL for anything else */
static const char *
partition_number(const char *spec)
{
    static const char *const DISKS[] = {"/dev/vda",  "/dev/sda",      "/dev/hda",
                                        "/dev/xvda", "/dev/nvme0n1p", "/dev/mmcblk0p"};

    for (unsigned i = 0; i < G_N_ELEMENTS(DISKS); i++) {
        const char *number = spec + strlen(DISKS[i]);

        if (g_str_has_prefix(spec, DISKS[i]) && number[0] != '\0' &&
            strspn(number, G_CSET_DIGITS) == strlen(number))
            return number;
    }
    return NULL;
}

static const char *
value_of(const char *spec, const char *name, const char *folder)
{
    if (g_str_has_prefix(spec, name) && spec[strlen(name)] == '=')
        return spec + strlen(name) + 1;
    return g_str_has_prefix(spec, folder) ? spec + strlen(folder) : NULL;
}

static bool
is_called(const Volume *volume, const char *spec, const char *disk)
{
    const struct {
        const char *name, *folder, *actual;
    } tags[] = {
        {"UUID", "/dev/disk/by-uuid/", volume->uuid},
        {"LABEL", "/dev/disk/by-label/", volume->label},
        {"PARTUUID", "/dev/disk/by-partuuid/", volume->part_uuid},
        {"PARTLABEL", "/dev/disk/by-partlabel/", volume->part_label},
    };
    const char *number = partition_number(spec);

    for (unsigned i = 0; i < G_N_ELEMENTS(tags); i++) {
        const char *value = value_of(spec, tags[i].name, tags[i].folder);

        if (value != NULL)
            return tags[i].actual != NULL && g_ascii_strcasecmp(value, tags[i].actual) == 0;
    }
    if (number != NULL)
        return is_on_disk(volume->device, disk) && strcmp(volume->device + strlen(disk), number) == 0;
    return strcmp(volume->device, spec) == 0;
}

/* resolve: (transfer full) the mountable that an fstab line means, or NULL where it is not on this disk */
static char *
resolve(Appliance *g, const TextMount *mount, const GPtrArray *volumes, const char *disk)
{
    g_autofree char *subvolume = text_option(mount->options, "subvol");
    g_autofree char *unquoted = g_shell_unquote(mount->spec, NULL); /* UUID="..." is allowed, too */
    g_autofree char *volume_name = NULL;
    const char *spec = unquoted != NULL ? unquoted : mount->spec;

    if (g_str_has_prefix(spec, "/dev/mapper/")) {
        volume_name = guestfs_lvm_canonical_lv_name(g, spec);
        spec = volume_name != NULL ? volume_name : spec;
    }
    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = volumes->pdata[i];

        if (!is_called(volume, spec, disk))
            continue;
        if (subvolume == NULL)
            return g_strdup(volume->device);
        return g_strdup_printf("btrfsvol:%s/%s", volume->device, subvolume + (subvolume[0] == '/'));
    }
    return NULL;
}

/* What an fstab mounts optionally, or elsewhere than from this disk, is not ours to edit. */
static bool
find_mounts(Appliance *g, GuestInfo *info, const GPtrArray *volumes, const char *disk, const char *label,
            GError **error)
{
    g_autofree char *text = appliance_read(g, "/etc/fstab", label, error);
    g_autoptr(GPtrArray) lines = text != NULL ? text_fstab(text) : NULL;

    if (lines == NULL)
        return false;
    layout_add_mount(info, info->root, "/");
    for (unsigned i = 0; i < lines->len; i++) {
        const TextMount *mount = lines->pdata[i];
        g_autofree char *device = NULL;

        if (mount->path[0] != '/' || mount->path[1] == '\0' || strcmp(mount->type, "swap") == 0 ||
            text_has_option(mount->options, "noauto") || text_has_option(mount->options, "nofail") ||
            text_has_option(mount->options, "bind"))
            continue;
        device = resolve(g, mount, volumes, disk);
        if (device != NULL)
            layout_add_mount(info, device, mount->path);
    }
    layout_sort_mounts(info);
    return true;
}

static bool
read_release(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    g_autofree char *first = appliance_read(g, "/etc/os-release", label, error);
    g_autofree char *second = first != NULL ? appliance_read(g, "/usr/lib/os-release", label, error) : NULL;
    const char *release = first != NULL && first[0] != '\0' ? first : second;
    g_autofree char *version = NULL, *like = NULL;

    if (second == NULL)
        return false;
    info->type = g_strdup("linux");
    info->distro = text_os_release(release, "ID");
    like = text_os_release(release, "ID_LIKE");
    version = text_os_release(release, "VERSION_ID");
    if (version != NULL) {
        const char *dot = strchr(version, '.');

        info->major = (int)strtol(version, NULL, 10);
        info->minor = dot != NULL ? (int)strtol(dot + 1, NULL, 10) : 0;
    }
    info->package_manager = g_strdup(packages_manager(info->distro, like, info->major));
    return true;
}

bool
layout_read_files(Appliance *appliance, GuestInfo *info, const char *label, GError **error)
{
    g_autofree char *hostname = appliance_read(appliance, "/etc/hostname", label, error);
    g_autofree char *selinux =
        hostname != NULL ? appliance_read(appliance, "/etc/selinux/config", label, error) : NULL;
    g_autofree char *mode = NULL;

    if (selinux == NULL)
        return false;
    info->hostname = g_strstrip(g_steal_pointer(&hostname));
    mode = text_os_release(selinux, "SELINUX");
    info->has_selinux = g_strcmp0(mode, "enforcing") == 0 || g_strcmp0(mode, "permissive") == 0;
    info->has_cloud_init = guestfs_exists(appliance, "/usr/bin/cloud-init") == 1;
    return true;
}

static bool
is_same_uuid(const char *a, const char *b)
{
    for (;; a++, b++) { /* LVM writes them with dashes, and some of libguestfs's calls without */
        a += strspn(a, "-");
        b += strspn(b, "-");
        if (*a != *b || *a == '\0')
            return *a == *b;
    }
}

/*
 * physical_volume: (transfer full) the partition behind volume group @vg; the last one where there are several. Calls that
 * return a record instead of a device name it as the appliance's kernel does, whose order of disks may be another one.
 */
static char *
physical_volume(Appliance *g, const char *vg)
{
    g_auto(GStrv) uuids = guestfs_vgpvuuids(g, vg);
    g_auto(GStrv) devices = guestfs_pvs(g);
    char *found = NULL;

    for (unsigned i = 0; uuids != NULL && devices != NULL && devices[i] != NULL; i++) {
        g_autofree char *uuid = guestfs_pvuuid(g, devices[i]);

        for (unsigned j = 0; uuid != NULL && uuids[j] != NULL; j++) {
            if (is_same_uuid(uuid, uuids[j])) {
                g_free(found);
                found = g_strdup(devices[i]);
            }
        }
    }
    return found;
}

/* The same trap: guestfs_mountable_device() gives the kernel's name; only a volume's is the same on both sides. */
char *
layout_device_of(Appliance *appliance, const char *mountable)
{
    char *device = text_mountable_device(mountable);

    return device != NULL ? device : guestfs_mountable_device(appliance, mountable);
}

/* The partition that has to grow is the one below an encrypted volume. */
static void
settle_partition(GuestInfo *info, const char *device)
{
    char *partition = g_strdup(volumes_partition(info, device));

    g_free(info->expand);
    info->expand = partition;
}

bool
layout_find_expand(Appliance *appliance, GuestInfo *info, const char *label, GError **error)
{
    g_autofree char *device = layout_device_of(appliance, info->root);
    g_autofree char *canonical = NULL;
    int is_volume = device != NULL ? guestfs_is_lv(appliance, device) : -1;

    if (is_volume == -1)
        return appliance_fail(appliance, label, "find the root's partition", error);
    if (is_volume == 1) {
        g_auto(GStrv) part = NULL;

        canonical = guestfs_lvm_canonical_lv_name(appliance, device);
        part = g_strsplit(canonical != NULL ? canonical : "", "/", -1); /* "", "dev", VG, LV */
        if (g_strv_length(part) == 4)
            info->expand = physical_volume(appliance, part[2]);
        if (info->expand == NULL)
            return appliance_fail(appliance, label, "find the root's volume group", error);
        settle_partition(info, info->expand);
        info->lvexpand = g_steal_pointer(&canonical);
    } else if (g_ascii_isdigit(device[strlen(device) - 1])) {
        settle_partition(info, device);
    }
    return true;
}

/* describe: everything else about the root that is mounted as info->root */
static bool
describe(Appliance *g, GuestInfo *info, const GPtrArray *volumes, const char *disk, const char *label,
         GError **error)
{
    return read_release(g, info, label, error) && layout_read_files(g, info, label, error) &&
           find_mounts(g, info, volumes, disk, label, error) && layout_find_expand(g, info, label, error);
}

static bool
holds_windows(Appliance *g, const GPtrArray *volumes)
{
    static const char *const FOLDERS[] = {"/Windows", "/WINDOWS", "/windows", "/WINNT"};
    bool is_found = false;

    for (unsigned i = 0; i < volumes->len && !is_found; i++) {
        const Volume *volume = volumes->pdata[i];

        if (!is_type(volume, "ntfs") || guestfs_mount_ro(g, volume->device, "/") == -1)
            continue;
        for (unsigned j = 0; j < G_N_ELEMENTS(FOLDERS) && !is_found; j++)
            is_found = guestfs_is_dir(g, FOLDERS[j]) == 1;
        guestfs_umount_all(g);
    }
    return is_found;
}

/* Neither activation nor the SIDs of Windows can be undone from outside. */
static bool
fail_without_root(Appliance *g, const GuestInfo *info, const GPtrArray *volumes, const char *label,
                  GError **error)
{
    if (holds_windows(g, volumes))
        return error_set(
            error,
            "%s: holds Windows, which is not changed from outside; work inside the running guest, and for a "
            "template end with 'sysprep.exe /generalize /oobe /shutdown' there",
            label);
    for (unsigned i = 0; i < volumes->len && info->containers == NULL; i++) {
        const Volume *volume = volumes->pdata[i];

        if (is_type(volume, "crypto_LUKS"))
            return error_set(error, "%s: %s is encrypted: its key is needed (--key %s:file:FILENAME)", label,
                             volume->device, volume->uuid != NULL ? volume->uuid : "all");
    }
    return error_set(error, "%s: no Linux system found on the disk", label);
}

GuestInfo *
layout_read(Appliance *appliance, const char *disk, const GuestKeys *keys, const char *label, GError **error)
{
    g_autoptr(GuestInfo) info = g_new0(GuestInfo, 1);
    g_autoptr(GPtrArray) volumes = list_volumes(appliance, info, keys, disk, label, error);

    if (volumes == NULL)
        return NULL;
    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = volumes->pdata[i];
        g_autofree char *root = root_of(appliance, volume);

        if (root == NULL)
            continue;
        if (info->root != NULL) {
            error_set(error, "%s: holds more than one Linux system: %s and %s", label, info->root, root);
            return NULL;
        }
        info->root = g_steal_pointer(&root);
        info->root_fs = g_strdup(volume->type);
        if (!describe(appliance, info, volumes, disk, label, error))
            return NULL;
        if (guestfs_umount_all(appliance) == -1) {
            appliance_fail(appliance, label, "unmount", error);
            return NULL;
        }
    }
    if (info->root == NULL) {
        fail_without_root(appliance, info, volumes, label, error);
        return NULL;
    }
    return g_steal_pointer(&info);
}
