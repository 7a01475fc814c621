// SPDX-License-Identifier: Apache-2.0
/* What is installed on a disk, as libguestfs's inspection finds it: for publishers, who describe an image once. */
#include "guest/inspect.h"

#include "base/interrupt.h"
#include "guest/firmware.h"
#include "guest/layout.h"
#include "guest/software.h"
#include "guest/text.h"

#include <string.h>

/* known: (transfer full) libguestfs says "unknown" where it does not know; takes @text */
static char *
known(char *text)
{
    if (text != NULL && (text[0] == '\0' || strcmp(text, "unknown") == 0)) {
        g_free(text);
        return NULL;
    }
    return text;
}

static bool
fill_mounts(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    g_auto(GStrv) pairs = guestfs_inspect_get_mountpoints(g, info->root);

    if (pairs == NULL)
        return appliance_fail(g, label, "find what to mount", error);
    for (unsigned i = 0; pairs[i] != NULL; i += 2)
        layout_add_mount(info, pairs[i + 1], pairs[i]);
    if (info->mounts == NULL)
        layout_add_mount(info, info->root, "/");
    layout_sort_mounts(info);
    return true;
}

static void
replace(char **field, char *text)
{
    if (text == NULL || text[0] == '\0') {
        g_free(text);
        return;
    }
    g_free(*field);
    *field = text;
}

/* libguestfs's product name of a Debian is "12.5" alone. */
static bool
read_release(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    g_autofree char *release = appliance_read(g, "/etc/os-release", label, error);

    if (release == NULL)
        return false;
    replace(&info->product, text_os_release(release, "PRETTY_NAME"));
    replace(&info->version, text_os_release(release, "VERSION_ID"));
    return true;
}

/* Only the root must be there: a package database may be on a volume of its own, and some volumes are optional. */
static bool
mount_all(Appliance *g, const GuestInfo *info, const char *label, GError **error)
{
    if (guestfs_mount_ro(g, info->root, "/") == -1)
        return appliance_fail(g, label, "mount the root", error);
    for (guint i = 0; i < info->mounts->len; i++) {
        const GuestMount *mount = g_ptr_array_index(info->mounts, i);

        if (strcmp(mount->path, "/") != 0)
            guestfs_mount_ro(g, mount->device, mount->path);
    }
    return interrupt_check(error);
}

/* Windows has none of these files, and nothing here to expand. */
static bool
fill_linux(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    if (!layout_read_files(g, info, label, error) || !read_release(g, info, label, error))
        return false;
    return layout_find_expand(g, info, label, error);
}

static void
fill_version(Appliance *g, GuestInfo *info)
{
    info->major = MAX(guestfs_inspect_get_major_version(g, info->root), 0);
    info->minor = MAX(guestfs_inspect_get_minor_version(g, info->root), 0);
    if (info->minor > 0)
        info->version = g_strdup_printf("%d.%d", info->major, info->minor);
    else if (info->major > 0)
        info->version = g_strdup_printf("%d", info->major);
}

GuestInfo *
inspect_root(Appliance *g, const char *root, const char *disk, bool want_packages, const char *label,
             GError **error)
{
    g_autoptr(GuestInfo) info = g_new0(GuestInfo, 1);

    info->root = g_strdup(root);
    info->type = known(guestfs_inspect_get_type(g, root));
    info->distro = known(guestfs_inspect_get_distro(g, root));
    info->product = known(guestfs_inspect_get_product_name(g, root));
    info->osinfo = known(guestfs_inspect_get_osinfo(g, root));
    info->arch = known(guestfs_inspect_get_arch(g, root));
    info->package_manager = known(guestfs_inspect_get_package_management(g, root));
    info->root_fs = known(guestfs_vfs_type(g, root));
    fill_version(g, info);
    firmware_read(g, info, disk);
    if (!fill_mounts(g, info, label, error) || !mount_all(g, info, label, error))
        return NULL;
    if (g_strcmp0(info->type, "linux") == 0 && !fill_linux(g, info, label, error))
        return NULL;
    if (want_packages && !software_read(g, info, label, error))
        return NULL;
    if (guestfs_umount_all(g) == -1) {
        appliance_fail(g, label, "unmount", error);
        return NULL;
    }
    return g_steal_pointer(&info);
}
