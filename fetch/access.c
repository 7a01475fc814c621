// SPDX-License-Identifier: Apache-2.0
/* Proxy, authorities and credential of a source, from what its file says. */
#include "fetch/access.h"

#include "base/cli.h"

#include <string.h>

/* Of sources that nobody added here: one that is gone must not hold up the others for long. */
#define FALLBACK_CONNECT_SECONDS 5

static bool
check_secret(const char *secret, const char *reference, GError **error)
{
    bool is_bearer = g_ascii_strncasecmp(secret, "bearer ", 7) == 0 && secret[7] != '\0';

    if (is_bearer || (*secret != ':' && strchr(secret, ':') != NULL))
        return true;
    return error_set(error, "credential '%s': neither USER:PASSWORD nor 'bearer TOKEN'", reference);
}

bool
access_init(const Source *source, NetAccess *out_access, NetLimits *out_limits, GError **error)
{
    g_auto(NetAccess) access = {0};

    if (source->credential != NULL) {
        const bool is_named = *source->credential == '@';

        access.credential = cli_read_credential(is_named ? NULL : source->credential,
                                                is_named ? source->credential + 1 : NULL, error);
        if (access.credential == NULL || !check_secret(access.credential, source->credential, error)) {
            g_prefix_error(error, "source '%s': ", source->name);
            return false;
        }
    }
    if (source->client_key != NULL && !cli_check_private(source->client_key, error)) {
        g_prefix_error(error, "source '%s': ", source->name);
        return false;
    }
    access.cert_file = g_strdup(source->client_cert);
    access.key_file = g_strdup(source->client_key);
    access.origin = g_strdup(source->uri);
    access.ca_file = g_strdup(source->ca);
    access.proxy = g_strcmp0(source->proxy, "no") == 0 ? g_strdup("") : g_strdup(source->proxy);
    *out_access = access;
    access = (NetAccess){0};
    net_limits_init(out_limits);
    out_limits->access = out_access;
    if (source->is_fallback) {
        out_limits->connect_seconds = MIN(out_limits->connect_seconds, FALLBACK_CONNECT_SECONDS);
        out_limits->max_failures = 0;
    }
    return true;
}
