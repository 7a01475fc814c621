// fuzz: repod
// SPDX-License-Identifier: Apache-2.0
/* repod.conf of any bytes: refused with a reason, or complete and in order. */
#include "repod/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = config_parse((const char *)data, size, "conf", &error);
    const char *rest;

    g_assert((config == NULL) == (error != NULL));
    if (config == NULL)
        return 0;
    g_assert(config->sites->len > 0 && config->max_connections > 0);
    for (guint i = 0; i < config->sites->len; i++) {
        const ConfigSite *site = g_ptr_array_index(config->sites, i);

        g_assert(g_path_is_absolute(site->dir));
        g_assert(*site->prefix == '\0' || g_str_has_suffix(site->prefix, "/"));
    }
    config_find_site(config, (const char *)data, MIN(size, 100), "images/index.asc", &rest);
    return 0;
}
