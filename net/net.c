// SPDX-License-Identifier: Apache-2.0
/* The public functions: local files here, the rest in http.c. */
#include "net/net.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "net/private.h"

#include <fcntl.h>
#include <stdlib.h>

#define COPY_BYTES (1u << 20)

static unsigned
from_environment(const char *name, unsigned fallback)
{
    const char *text = g_getenv(name);
    guint64 number;

    if (text != NULL && g_ascii_string_to_unsigned(text, 10, 0, 3600 * 1000, &number, NULL))
        return (unsigned)number;
    return fallback;
}

void
net_limits_init(NetLimits *limits)
{
    limits->connect_seconds = 20;
    limits->stall_seconds = MAX(1, from_environment("VIRT_DEPOT_STALL_SECONDS", 30));
    limits->retry_ms = from_environment("VIRT_DEPOT_RETRY_MS", 1000);
    limits->max_failures = 5;
    limits->max_rate = 0;
    limits->access = NULL;
}

void
net_access_clear(NetAccess *access)
{
    g_clear_pointer(&access->proxy, g_free);
    g_clear_pointer(&access->ca_file, g_free);
    g_clear_pointer(&access->cert_file, g_free);
    g_clear_pointer(&access->key_file, g_free);
    g_clear_pointer(&access->credential, g_free);
    g_clear_pointer(&access->origin, g_free);
}

void
net_reply_clear(NetReply *reply)
{
    g_clear_pointer(&reply->body, g_bytes_unref);
    g_clear_pointer(&reply->etag, g_free);
}

bool
net_get(const char *url, size_t max_bytes, const char *etag, const NetLimits *limits, NetReply *out_reply,
        GError **error)
{
    g_autofree char *path = net_local_path(url);
    GBytes *body;

    if (path == NULL)
        return net_http_get(url, max_bytes, etag, limits, out_reply, error);
    body = file_read(path, max_bytes, error);
    if (body == NULL)
        return false;
    *out_reply = (NetReply){.body = body};
    return true;
}

static bool
copy_rest(int in, const char *path, const NetDownload *download, uint64_t size, GError **error)
{
    g_autofree char *buffer = g_malloc(COPY_BYTES);

    for (uint64_t at = download->offset; at < size;) {
        size_t wanted = MIN(size - at, COPY_BYTES);

        if (!interrupt_check(error) || !fd_pread_exact(in, buffer, wanted, at, path, error) ||
            !fd_pwrite_all(download->fd, buffer, wanted, at, "download", error))
            return false;
        at += wanted;
        progress_set(download->progress, at);
        progress_add(download->total, wanted);
    }
    return true;
}

bool
net_download(const NetDownload *download, const NetLimits *limits, GError **error)
{
    g_autofree char *path = net_local_path(download->url);
    g_auto(Fd) in = -1;
    uint64_t size;

    if (download->size > 0 && download->offset == download->size)
        return true;
    if (path == NULL)
        return net_http_download(download, limits, error);
    in = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (in < 0)
        return error_set_errno(error, "%s", path);
    if (!fd_size(in, path, &size, error))
        return false;
    if (download->size > 0 ? size != download->size : size > download->max_size)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: has %" G_GUINT64_FORMAT " bytes, the index allows %" G_GUINT64_FORMAT,
                              path, size, download->size > 0 ? download->size : download->max_size);
    return copy_rest(in, path, download, size, error);
}
