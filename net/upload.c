// SPDX-License-Identifier: Apache-2.0
/* A file to a server that takes uploads in parts: ask how much is there, send the rest, and again until it has all. */
#include "base/interrupt.h"
#include "net/private.h"

/* is_transient: worth another try. */
static bool
is_transient(int status)
{
    return status == 408 || status == 425 || status == 429 ||
           (status >= 500 && status != 501 && status != 507);
}

bool
net_answer_error(const NetAnswer *answer, const char *url, GError **error)
{
    const BaseError code = answer->status == 404 || answer->status == 410 ? BASE_ERROR_NOT_FOUND
                           : is_transient(answer->status)                 ? BASE_ERROR_UNAVAILABLE
                                                                          : BASE_ERROR_FAILED;
    const char *text = answer->text != NULL ? answer->text : "";

    return error_set_code(error, code, "%s: the server answers with HTTP status %d%s%s", url, answer->status,
                          *text != '\0' ? ": " : "", text);
}

void
net_answer_clear(NetAnswer *answer)
{
    g_clear_pointer(&answer->etag, g_free);
    g_clear_pointer(&answer->text, g_free);
}

/* send_rest: what comes after @offset, which the server has. */
static bool
send_rest(NetClient *client, const NetUpload *upload, uint64_t offset, NetAnswer *out_answer, GError **error)
{
    g_autofree char *at = g_strdup_printf("Upload-Offset: %" G_GUINT64_FORMAT, offset);
    const char *const headers[] = {"Content-Type: application/partial-upload", "Upload-Complete: ?1", at,
                                   NULL};
    const NetSend send = {
        .method = offset == 0 ? "PUT" : "PATCH",
        .url = upload->url,
        .headers = offset == 0 ? NULL : headers,
        .has_body = true,
        .fd = upload->fd,
        .offset = offset,
        .size = upload->size - offset,
        .progress = upload->progress,
        .progress_base = upload->progress_base + offset,
    };

    return net_client_send(client, &send, out_answer, error);
}

/* try_once: look how much is there, and send the rest. UNAVAILABLE: worth another try. */
static bool
try_once(NetClient *client, const NetUpload *upload, uint64_t *out_offset, GError **error)
{
    const NetSend head = {.method = "HEAD", .url = upload->url, .fd = -1};
    g_auto(NetAnswer) look = {0}, answer = {0};

    if (!net_client_send(client, &head, &look, error))
        return false;
    if (look.status == 200)
        return true;
    if (look.status != 404 && look.status != 204)
        return net_answer_error(&look, upload->url, error);
    *out_offset = look.has_offset && look.offset < upload->size ? look.offset : 0;
    if (!send_rest(client, upload, *out_offset, &answer, error))
        return false;
    if (answer.status == 200 || answer.status == 201 || answer.status == 204)
        return true;
    net_answer_error(&answer, upload->url, error);
    /* Another connection has it, perhaps one of ours that died: the server will notice. */
    if (answer.status == 409 && error != NULL)
        (*error)->code = BASE_ERROR_UNAVAILABLE;
    return false;
}

bool
net_upload(NetClient *client, const NetUpload *upload, GError **error)
{
    const NetLimits *limits = net_client_limits(client);
    uint64_t best = 0;

    for (unsigned failures = 0;;) {
        g_autoptr(GError) local = NULL;
        uint64_t offset = 0;

        if (!interrupt_check(error))
            return false;
        if (try_once(client, upload, &offset, &local))
            return true;
        if (!interrupt_check(error))
            return false;
        /* Progress is what the server has, not what left this host. */
        failures = offset > best ? 0 : failures + 1;
        best = MAX(best, offset);
        if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_UNAVAILABLE) || failures > limits->max_failures) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        net_client_pause(client, failures);
    }
}
