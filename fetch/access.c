// SPDX-License-Identifier: Apache-2.0
/* Proxy, authorities and credential of a source, from what its file says. */
#include "fetch/access.h"

#include "base/cli.h"
#include "base/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of sources that nobody added here: one that is gone must not hold up the others for long. */
#define FALLBACK_CONNECT_SECONDS 5

/* A password that others can read is no secret any more: better found out now. */
static bool
check_private(const char *path, GError **error)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return error_set_errno(error, "%s", path);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0 ||
        (status.st_uid != geteuid() && status.st_uid != 0))
        return error_set(
            error, "%s: a credential must be a file of one's own that nobody else can read: chmod 600", path);
    return true;
}

/* "@NAME" below $CREDENTIALS_DIRECTORY, whose permissions systemd sees to, or a path. */
static char *
read_credential(const char *reference, GError **error)
{
    g_autofree char *path = NULL;

    if (*reference == '@') {
        const char *folder = g_getenv("CREDENTIALS_DIRECTORY");

        if (folder == NULL) {
            error_set(error,
                      "credential '%s': CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with "
                      "LoadCredential=",
                      reference);
            return NULL;
        }
        path = g_build_filename(folder, reference + 1, NULL);
    } else {
        path = g_strdup(reference);
        if (!check_private(path, error))
            return NULL;
    }
    return cli_read_secret(path, error);
}

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
        access.credential = read_credential(source->credential, error);
        if (access.credential == NULL || !check_secret(access.credential, source->credential, error)) {
            g_prefix_error(error, "source '%s': ", source->name);
            return false;
        }
    }
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
