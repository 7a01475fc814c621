// SPDX-License-Identifier: Apache-2.0
/* Gives back what a guest's disks do not need: free space of file systems and volume groups, and swap. */
#include "guest/view.h"

#include <string.h>
#include <sys/stat.h>

static void
warn(GuestView *view, const char *name)
{
    g_ptr_array_add(view->warnings, g_strdup_printf("%s: %s was left as it is: %s", view->label, name,
                                                    guestfs_last_error(view->g)));
}

/* Its identity stays: fstab or the resume device may name it by UUID or label. */
static bool
trim_swap(GuestView *view, const GuestVolume *volume)
{
    struct guestfs_mkswap_opts_argv optional = {.bitmask = 0, .label = volume->label, .uuid = volume->uuid};

    if (volume->label != NULL)
        optional.bitmask |= GUESTFS_MKSWAP_OPTS_LABEL_BITMASK;
    if (volume->uuid != NULL)
        optional.bitmask |= GUESTFS_MKSWAP_OPTS_UUID_BITMASK;
    return guestfs_blkdiscard(view->g, volume->name) != -1 &&
           guestfs_mkswap_opts_argv(view->g, volume->name, &optional) != -1;
}

static void
trim_filesystem(GuestView *view, const GuestVolume *volume)
{
    if (guestfs_mount_options(view->g, "discard", volume->name, "/") == -1 ||
        guestfs_fstrim(view->g, "/", -1) == -1)
        warn(view, volume->name);
    guestfs_umount_all(view->g);
}

static bool
trim_group(GuestView *view, const char *group)
{
    g_autofree char *random = g_uuid_string_random();
    g_autofree char *device = g_strconcat("/dev/", group, "/", random, NULL);

    if (guestfs_lvcreate_free(view->g, random, group, 100) == -1)
        return true; /* it has no free space */
    if (guestfs_blkdiscard(view->g, device) == -1)
        warn(view, group);
    return guestfs_lvremove(view->g, device) != -1;
}

static uint64_t
allocated(const GuestView *view)
{
    uint64_t sum = 0;
    struct stat status;

    for (unsigned i = 0; i < view->n; i++)
        if (fstat(view->works[i].original, &status) == 0)
            sum += (uint64_t)status.st_blocks * 512;
    return sum;
}

static bool
trim_volumes(GuestView *view, const GPtrArray *volumes, GError **error)
{
    for (guint i = 0; i < volumes->len; i++) {
        const GuestVolume *volume = volumes->pdata[i];

        if (strcmp(volume->kind, "filesystem") == 0 && strcmp(volume->fs, "swap") == 0) {
            if (!trim_swap(view, volume))
                return view_fail(view, "make swap anew on", volume->name, error);
        } else if (strcmp(volume->kind, "filesystem") == 0 && strcmp(volume->fs, "unknown") != 0) {
            trim_filesystem(view, volume);
        } else if (strcmp(volume->kind, "vg") == 0 && !trim_group(view, volume->name + strlen("/dev/"))) {
            return view_fail(view, "remove the help volume of", volume->name, error);
        }
    }
    return true;
}

bool
guest_view_sparsify(GuestView *view, uint64_t *out_before, uint64_t *out_after, GError **error)
{
    g_autoptr(GPtrArray) volumes = NULL;
    uint64_t before = allocated(view);

    if (!view_check_writable(view, "give space back", error))
        return false;
    volumes = guest_view_volumes(view, true, error);
    if (volumes == NULL || !trim_volumes(view, volumes, error) || !guest_view_finish(view, error))
        return false;
    *out_before = before;
    *out_after = allocated(view);
    return true;
}
