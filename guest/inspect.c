// SPDX-License-Identifier: Apache-2.0
/* What is installed on a disk, as libguestfs's inspection finds it: for publishers, who describe an image once. */
#include "guest/layout.h"
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

/* libguestfs's product name of a Debian is "12.5" alone. */
static bool
read_product(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    g_autofree char *release = appliance_read(g, "/etc/os-release", label, error);
    char *pretty;

    if (release == NULL)
        return false;
    pretty = text_os_release(release, "PRETTY_NAME");
    if (pretty != NULL) {
        g_free(info->product);
        info->product = pretty;
    }
    return true;
}

/* Windows has none of these files, and nothing here to expand. */
static bool
fill_linux(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    if (guestfs_mount_ro(g, info->root, "/") == -1)
        return appliance_fail(g, label, "mount the root", error);
    if (!layout_read_files(g, info, label, error) || !read_product(g, info, label, error))
        return false;
    if (guestfs_umount_all(g) == -1)
        return appliance_fail(g, label, "unmount", error);
    return layout_find_expand(g, info, label, error);
}

static GuestInfo *
describe(Appliance *g, const char *root, const char *label, GError **error)
{
    g_autoptr(GuestInfo) info = g_new0(GuestInfo, 1);

    info->root = g_strdup(root);
    info->type = known(guestfs_inspect_get_type(g, root));
    info->distro = known(guestfs_inspect_get_distro(g, root));
    info->major = MAX(guestfs_inspect_get_major_version(g, root), 0);
    info->minor = MAX(guestfs_inspect_get_minor_version(g, root), 0);
    info->product = known(guestfs_inspect_get_product_name(g, root));
    info->osinfo = known(guestfs_inspect_get_osinfo(g, root));
    info->arch = known(guestfs_inspect_get_arch(g, root));
    info->package_manager = known(guestfs_inspect_get_package_management(g, root));
    info->root_fs = known(guestfs_vfs_type(g, root));
    if (!fill_mounts(g, info, label, error))
        return NULL;
    if (g_strcmp0(info->type, "linux") == 0 && !fill_linux(g, info, label, error))
        return NULL;
    return g_steal_pointer(&info);
}

GuestInfo *
guest_inspect(const char *path, DiskFormat format, GuestAccel accel, char **out_reason, GError **error)
{
    const ApplianceDisk disk = {path, format};
    g_autoptr(Appliance) g = NULL;
    g_auto(GStrv) roots = NULL;

    *out_reason = NULL;
    g = appliance_launch(&disk, 1, true, accel, out_reason, error);
    if (g == NULL)
        return NULL;
    roots = guestfs_inspect_os(g);
    if (roots == NULL) {
        appliance_fail(g, path, "inspect the disk", error);
        return NULL;
    }
    if (g_strv_length(roots) != 1) {
        error_set(error, "%s: holds %u operating systems, where one is expected", path, g_strv_length(roots));
        return NULL;
    }
    return describe(g, roots[0], path, error);
}
