// SPDX-License-Identifier: Apache-2.0
/* The packages of a guest, from libguestfs's reading of its package database. */
#include "guest/software.h"

#include <string.h>

/* Names and versions come from the guest and end up in a document: what is not UTF-8 is made so. */
static char *
copy(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : g_utf8_make_valid(text, -1);
}

char *
software_version(int epoch, const char *version, const char *release)
{
    g_autofree char *front = epoch > 0 ? g_strdup_printf("%d:", epoch) : g_strdup("");

    if (version == NULL || version[0] == '\0')
        return NULL;
    if (release == NULL || release[0] == '\0')
        return g_strconcat(front, version, NULL);
    return g_strconcat(front, version, "-", release, NULL);
}

bool
software_read(Appliance *g, GuestInfo *info, const char *label, GError **error)
{
    struct guestfs_application2_list *list;

    if (info->package_manager == NULL)
        return true;
    list = guestfs_inspect_list_applications2(g, info->root);
    if (list == NULL)
        return appliance_fail(g, label, "list its packages", error);
    if (list->len > GUEST_MAX_PACKAGES) {
        error_set(error, "%s: lists %u packages, at most %u are taken", label, list->len, GUEST_MAX_PACKAGES);
        guestfs_free_application2_list(list);
        return false;
    }
    info->packages = g_ptr_array_new_with_free_func((GDestroyNotify)guest_package_free);
    for (uint32_t i = 0; i < list->len; i++) {
        const struct guestfs_application2 *found = &list->val[i];
        g_autofree char *version =
            software_version(found->app2_epoch, found->app2_version, found->app2_release);
        GuestPackage *package = g_new0(GuestPackage, 1);

        package->name = copy(found->app2_name);
        package->version = copy(version);
        package->arch = copy(found->app2_arch);
        package->source = copy(found->app2_source_package);
        package->vendor = copy(found->app2_publisher);
        g_ptr_array_add(info->packages, package);
    }
    guestfs_free_application2_list(list);
    return true;
}
