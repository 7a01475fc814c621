// SPDX-License-Identifier: Apache-2.0
/* Where things live on this host. */
#include "base/paths.h"

#include <glib.h>
#include <unistd.h>

#define SYSTEM_CACHE "/var/lib/libvirt/images/virt-depot"

/* @leaf below VIRT_DEPOT_HOME, else @system for root, else "virt-depot" and @user below @xdg. */
static char *
locate(const char *leaf, const char *system, const char *xdg, const char *user)
{
    const char *home = g_getenv("VIRT_DEPOT_HOME");

    if (home != NULL && home[0] != '\0') {
        g_autofree char *absolute = g_canonicalize_filename(home, NULL);

        return g_build_filename(absolute, leaf, NULL);
    }
    if (geteuid() == 0)
        return g_strdup(system);
    return g_build_filename(xdg, "virt-depot", user, NULL);
}

char *
path_config(void)
{
    return locate("config", "/etc/virt-depot", g_get_user_config_dir(), NULL);
}

char *
path_state(void)
{
    return locate("state", "/var/lib/virt-depot", g_get_user_state_dir(), NULL);
}

char *
path_keys(void)
{
    return locate("keys", "/var/lib/virt-depot/keys", g_get_user_data_dir(), "keys");
}

char *
path_cache(void)
{
    const char *cache = g_getenv("VIRT_DEPOT_CACHE");

    if (cache != NULL && cache[0] != '\0')
        return g_canonicalize_filename(cache, NULL);
    return locate("cache", SYSTEM_CACHE, g_get_user_cache_dir(), NULL);
}

char *
path_shared_cache(void)
{
    const char *shared = g_getenv("VIRT_DEPOT_SHARED_CACHE"), *home = g_getenv("VIRT_DEPOT_HOME");

    if (shared != NULL)
        return shared[0] == '\0' ? NULL : g_canonicalize_filename(shared, NULL);
    return geteuid() == 0 || (home != NULL && home[0] != '\0') ? NULL : g_strdup(SYSTEM_CACHE);
}

char *
path_disks(void)
{
    return locate("disks", "/var/lib/libvirt/images", g_get_user_data_dir(), "disks");
}
