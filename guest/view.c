// SPDX-License-Identifier: Apache-2.0
/* Opens a guest: locks its disks, starts the appliance, finds out what to mount and mounts it. */
#include "guest/view.h"

#include "base/fd.h"
#include "guest/layout.h"

#include <string.h>
#include <unistd.h>

bool
view_fail(GuestView *view, const char *verb, const char *path, GError **error)
{
    g_autofree char *what = g_strdup_printf("%s %s", verb, path);

    return appliance_fail(view->g, view->label, what, error);
}

bool
view_check_writable(const GuestView *view, const char *verb, GError **error)
{
    return view->is_writable ||
           error_set_code(error, BASE_ERROR_USAGE, "%s: cannot %s: it was opened for reading alone",
                          view->label, verb);
}

void
guest_view_free(GuestView *view)
{
    if (view == NULL)
        return;
    appliance_free(view->g);
    for (unsigned i = 0; i < view->n; i++)
        work_copy_clear(&view->works[i]);
    g_free(view->works);
    g_free(view->label);
    guest_info_free(view->info);
    g_ptr_array_unref(view->warnings);
    g_free(view);
}

const GPtrArray *
guest_view_warnings(const GuestView *view)
{
    return view->warnings;
}

static bool
open_disks(GuestView *view, const GPtrArray *disks, GError **error)
{
    view->works = g_new0(WorkCopy, disks->len);
    for (; view->n < disks->len; view->n++) {
        const GuestDisk *disk = disks->pdata[view->n];

        view->works[view->n] = (WorkCopy)WORK_COPY_NONE;
        if (!work_copy_open(disk->path, disk->format, view->is_writable ? WORK_IN_PLACE : WORK_READ_ONLY,
                            &view->works[view->n], error))
            return false;
    }
    return true;
}

GuestView *
guest_view_open(const GuestViewOptions *options, char **out_reason, GError **error)
{
    g_autoptr(GuestView) view = g_new0(GuestView, 1);
    g_autofree ApplianceDisk *disks = g_new0(ApplianceDisk, options->disks->len);
    const ApplianceOptions appliance = {.accel = options->accel,
                                        .is_read_only = !options->is_writable,
                                        .has_network = options->has_network,
                                        .is_rescue = options->is_rescue};

    *out_reason = NULL;
    view->label = g_strdup(options->label);
    view->is_writable = options->is_writable;
    view->warnings = g_ptr_array_new_with_free_func(g_free);
    if (!open_disks(view, options->disks, error))
        return NULL;
    for (unsigned i = 0; i < view->n; i++)
        disks[i] = (ApplianceDisk){view->works[i].path, view->works[i].format};
    view->g = appliance_launch(disks, view->n, &appliance, out_reason, error);
    return view->g != NULL ? g_steal_pointer(&view) : NULL;
}

static int
mount_device(GuestView *view, const char *device, const char *path)
{
    return view->is_writable ? guestfs_mount_options(view->g, "", device, path)
                             : guestfs_mount_ro(view->g, device, path);
}

/* "DEVICE" or "DEVICE:PATH"; a device has no colon but for a btrfs subvolume's. */
static bool
mount_given(GuestView *view, const char *given, GError **error)
{
    const char *start = g_str_has_prefix(given, "btrfsvol:") ? given + strlen("btrfsvol:") : given;
    const char *colon = strchr(start, ':');
    g_autofree char *device = colon != NULL ? g_strndup(given, (gsize)(colon - given)) : g_strdup(given);
    const char *path = colon != NULL ? colon + 1 : "/";

    return mount_device(view, device, path) != -1 || view_fail(view, "mount", given, error);
}

/* libguestfs's own inspection: slower, but it knows guests of several disks, and other systems than Linux. */
static GuestInfo *
inspect(GuestView *view, GError **error)
{
    g_autoptr(GuestInfo) info = g_new0(GuestInfo, 1);
    g_auto(GStrv) roots = guestfs_inspect_os(view->g);
    g_auto(GStrv) pairs = NULL;

    if (roots == NULL) {
        appliance_fail(view->g, view->label, "inspect the disks", error);
        return NULL;
    }
    if (g_strv_length(roots) != 1) {
        error_set(error,
                  "%s: holds %u operating systems, where one is expected; say what to mount with --mount "
                  "DEVICE:PATH, as guest filesystems lists them",
                  view->label, g_strv_length(roots));
        return NULL;
    }
    info->root = g_strdup(roots[0]);
    info->type = guestfs_inspect_get_type(view->g, roots[0]);
    pairs = guestfs_inspect_get_mountpoints(view->g, roots[0]);
    for (unsigned i = 0; pairs != NULL && pairs[i] != NULL; i += 2)
        layout_add_mount(info, pairs[i + 1], pairs[i]);
    if (info->mounts == NULL)
        layout_add_mount(info, info->root, "/");
    layout_sort_mounts(info);
    return g_steal_pointer(&info);
}

static GuestInfo *
find_system(GuestView *view, GError **error)
{
    g_autofree char *disk = appliance_disk(0);
    g_autoptr(GuestInfo) info = view->n == 1 ? layout_read(view->g, disk, NULL, view->label, NULL) : NULL;

    if (info != NULL)
        return g_steal_pointer(&info);
    if (guestfs_umount_all(view->g) == -1) {
        appliance_fail(view->g, view->label, "unmount", error);
        return NULL;
    }
    return inspect(view, error);
}

bool
guest_view_mount(GuestView *view, const char *const *mounts, GError **error)
{
    for (unsigned i = 0; mounts != NULL && mounts[i] != NULL; i++)
        if (!mount_given(view, mounts[i], error))
            return false;
    if (mounts != NULL && mounts[0] != NULL)
        return true;
    view->info = find_system(view, error);
    if (view->info == NULL)
        return false;
    for (unsigned i = 0; i < view->info->mounts->len; i++) {
        const GuestMount *mount = view->info->mounts->pdata[i];

        if (mount_device(view, mount->device, mount->path) != -1)
            continue;
        if (strcmp(mount->path, "/") == 0)
            return view_fail(view, "mount", mount->device, error);
        g_ptr_array_add(view->warnings, g_strdup_printf("%s: cannot mount %s: %s", view->label, mount->path,
                                                        guestfs_last_error(view->g)));
    }
    return true;
}

bool
guest_view_finish(GuestView *view, GError **error)
{
    if (!appliance_finish(view->g, view->label, error))
        return false;
    for (unsigned i = 0; view->is_writable && i < view->n; i++)
        if (fsync(view->works[i].original) != 0)
            return error_set_errno(error, "%s: cannot sync", view->works[i].name);
    return true;
}
