// SPDX-License-Identifier: Apache-2.0
/*
 * Where a Linux system lies on ONE of the appliance's disks. libguestfs's own inspection looks at all disks at once,
 * which for N clones is N times the work and N roots; so the few facts that edits need are found here.
 */
#pragma once

#include "guest/appliance.h"

/**
 * layout_read: (transfer full) the one Linux root on @disk ("/dev/sda"), for edits' use alone: no osinfo, product or arch.
 * LVM sees @disk alone afterwards if it has any, and the LUKS containers that @keys (nullable) open stay open.
 * Nothing stays mounted.
 */
GuestInfo *layout_read(Appliance *appliance, const char *disk, const GuestKeys *keys, const char *label,
                       GError **error);

/** layout_device_of: (transfer full) (nullable) the device of what can be mounted, as libguestfs names it. */
char *layout_device_of(Appliance *appliance, const char *mountable);

/** layout_device: (transfer full) (nullable) @device of disk @from ("/dev/sda2", "btrfsvol:/dev/sda2/@") on disk @to. */
char *layout_device(const char *device, const char *from, const char *to);

/** layout_on_disk: (transfer full) @info, found on the disk @from, as its clone on the disk @to has it. */
GuestInfo *layout_on_disk(const GuestInfo *info, const char *from, const char *to);

/** layout_find_expand: fill @info->expand and lvexpand from @info->root. */
bool layout_find_expand(Appliance *appliance, GuestInfo *info, const char *label, GError **error);

/** layout_read_files: fill has_cloud_init, has_selinux and hostname from the mounted guest. */
bool layout_read_files(Appliance *appliance, GuestInfo *info, const char *label, GError **error);

/** layout_add_container: an encrypted @device that is open as @path. */
void layout_add_container(GuestInfo *info, const char *device, const char *path);

/** layout_add_mount: append a mount; layout_sort_mounts: into the order to mount them, "/" first. */
void layout_add_mount(GuestInfo *info, const char *device, const char *path);
void layout_sort_mounts(GuestInfo *info);
