// SPDX-License-Identifier: Apache-2.0
/*
 * Downloads: one request at a time, each judged by its status and headers before a byte of its body is taken, and repeated from
 * where it stopped while that makes sense.
 */
#include "base/fd.h"
#include "base/interrupt.h"
#include "net/curl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Transfer: one file over any number of requests. */
typedef struct {
    const char *url;
    const NetLimits *limits;
    CURL *curl;
    char message[CURL_ERROR_SIZE];

    /* The sink: memory or a file. */
    GByteArray *memory;
    int fd;
    uint64_t have; /* bytes in the sink */
    uint64_t size; /* exact, or 0 */
    uint64_t max_size;
    Progress *progress, *total;
    const char *if_none_match;
    char *etag; /* strong; of the bytes in the sink */

    /* The request at hand. */
    bool has_asked_range;
    bool is_accepted; /* its status and headers were judged */
    bool is_not_modified;
    bool must_restart; /* its answer makes the bytes so far useless */
    NetHead head;
    GError *refusal; /* why a callback stopped the transfer for good */
} Transfer;

static void
transfer_clear(Transfer *transfer)
{
    curl_easy_cleanup(transfer->curl);
    g_clear_pointer(&transfer->memory, g_byte_array_unref);
    g_free(transfer->etag);
    net_head_clear(&transfer->head);
    g_clear_error(&transfer->refusal);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Transfer, transfer_clear)

static bool refuse(Transfer *transfer, BaseError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool
refuse(Transfer *transfer, BaseError code, const char *format, ...)
{
    va_list args;

    if (transfer->refusal != NULL)
        return false;
    va_start(args, format);
    transfer->refusal = g_error_new_valist(BASE_ERROR, (gint)code, format, args);
    va_end(args);
    g_prefix_error(&transfer->refusal, "%s: ", transfer->url);
    return false;
}

/* Drop what is in the sink. */
static bool
restart(Transfer *transfer)
{
    transfer->have = 0;
    if (transfer->memory != NULL)
        g_byte_array_set_size(transfer->memory, 0);
    else if (ftruncate(transfer->fd, 0) < 0)
        return refuse(transfer, BASE_ERROR_FAILED, "cannot truncate the download: %s", g_strerror(errno));
    return true;
}

static bool
accept_size(Transfer *transfer, uint64_t size)
{
    if (transfer->size > 0 && size != transfer->size)
        return refuse(transfer, BASE_ERROR_UNTRUSTED,
                      "the server's file has %" G_GUINT64_FORMAT
                      " bytes, the index states %" G_GUINT64_FORMAT,
                      size, transfer->size);
    if (size > transfer->max_size)
        return refuse(transfer, transfer->memory != NULL ? BASE_ERROR_FAILED : BASE_ERROR_UNTRUSTED,
                      "larger than the %" G_GUINT64_FORMAT " bytes that are allowed", transfer->max_size);
    return true;
}

static bool
accept_part(Transfer *transfer)
{
    uint64_t first, last, total;

    if (!transfer->has_asked_range)
        return refuse(transfer, BASE_ERROR_FAILED, "the server sent a part that was not asked for");
    if (transfer->head.content_range == NULL ||
        !net_parse_content_range(transfer->head.content_range, &first, &last, &total) ||
        first != transfer->have || last != total - 1) {
        transfer->must_restart = true; /* a server that lies about ranges: take the whole file instead */
        return false;
    }
    return accept_size(transfer, total);
}

static bool
accept_whole(Transfer *transfer)
{
    curl_off_t length = -1;

    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length >= 0 && !accept_size(transfer, (uint64_t)length))
        return false;
    return transfer->have == 0 || restart(transfer);
}

/* Judge the answer by its status and headers: before the first byte of the body, or at the end where it has
 * none. */
static bool
accept_reply(Transfer *transfer)
{
    long status = 0;

    if (transfer->is_accepted)
        return true;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 304 && transfer->if_none_match != NULL) {
        transfer->is_not_modified = transfer->is_accepted = true;
        return true;
    }
    if (status != 200 && status != 206)
        return refuse(transfer, BASE_ERROR_FAILED, "unexpected HTTP status %ld", status);
    if (transfer->head.is_encoded)
        return refuse(transfer, BASE_ERROR_FAILED,
                      "the server sent a Content-Encoding that was not asked for");
    if (!(status == 206 ? accept_part(transfer) : accept_whole(transfer)))
        return false;
    g_free(transfer->etag);
    transfer->etag = g_steal_pointer(&transfer->head.etag);
    transfer->is_accepted = true;
    return true;
}

static size_t
on_body(char *data, size_t one, size_t count, void *context)
{
    Transfer *transfer = context;
    size_t size = one * count;
    uint64_t cap = transfer->size > 0 ? transfer->size : transfer->max_size;

    if (!accept_reply(transfer) || transfer->is_not_modified)
        return 0;
    if (size > cap - transfer->have) {
        refuse(transfer, transfer->memory != NULL ? BASE_ERROR_FAILED : BASE_ERROR_UNTRUSTED,
               "the server sends more than the %" G_GUINT64_FORMAT " bytes that are allowed", cap);
        return 0;
    }
    if (transfer->memory != NULL)
        g_byte_array_append(transfer->memory, (const guint8 *)data, (guint)size);
    else if (!fd_pwrite_all(transfer->fd, data, size, transfer->have, "download", &transfer->refusal))
        return 0;
    transfer->have += size;
    net_curl_count(transfer->limits, size);
    progress_set(transfer->progress, transfer->have);
    progress_add(transfer->total, size);
    return size;
}

static size_t
on_header(char *line, size_t one, size_t count, void *context)
{
    net_head_read(&((Transfer *)context)->head, line, one * count);
    return one * count;
}

static struct curl_slist *
request_headers(const Transfer *transfer)
{
    struct curl_slist *list = curl_slist_append(NULL, "Accept-Encoding: identity");

    if (transfer->if_none_match != NULL) {
        g_autofree char *line = g_strdup_printf("If-None-Match: %s", transfer->if_none_match);

        list = curl_slist_append(list, line);
    }
    if (transfer->has_asked_range) {
        g_autofree char *range = g_strdup_printf("Range: bytes=%" G_GUINT64_FORMAT "-", transfer->have);
        g_autofree char *line =
            transfer->etag == NULL ? NULL : g_strdup_printf("If-Range: %s", transfer->etag);

        list = curl_slist_append(list, range);
        if (line != NULL)
            list = curl_slist_append(list, line);
    }
    return list;
}

static void
set_options(Transfer *transfer, struct curl_slist *headers)
{
    CURL *curl = transfer->curl;

    net_curl_set_common(curl, transfer->url, transfer->limits, transfer->message, headers);
    net_curl_set_get(curl, transfer->url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
}

static CURLcode
request(Transfer *transfer)
{
    struct curl_slist *headers;
    CURLcode code;

    transfer->has_asked_range = transfer->have > 0;
    transfer->is_accepted = transfer->is_not_modified = transfer->must_restart = false;
    net_head_clear(&transfer->head);
    transfer->message[0] = '\0';
    headers = request_headers(transfer);
    set_options(transfer, headers);
    net_curl_set_access(transfer->curl, transfer->url, transfer->limits->access);
    code = curl_easy_perform(transfer->curl);
    if (code == CURLE_OK && !accept_reply(transfer))
        code = CURLE_WRITE_ERROR;
    curl_slist_free_all(headers);
    return code;
}

static bool
describe(Transfer *transfer, CURLcode code, GError **error)
{
    if (code == CURLE_OK)
        return error_set_code(error, BASE_ERROR_UNAVAILABLE,
                              "%s: the server stopped after %" G_GUINT64_FORMAT " bytes", transfer->url,
                              transfer->have);
    return net_curl_set_failure(transfer->curl, code, transfer->url, transfer->message, transfer->limits,
                                error);
}

/* Requests until the file is complete. */
static bool
run(Transfer *transfer, GError **error)
{
    uint64_t best = transfer->have;
    unsigned failures = 0, restarts = 0;
    long status = 0;

    for (;;) {
        CURLcode code;

        if (!interrupt_check(error))
            return false;
        code = request(transfer);
        if (!interrupt_check(error))
            return false;
        curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
        if (transfer->must_restart || (code == CURLE_HTTP_RETURNED_ERROR && status == 416)) {
            if (restarts++ > 0)
                refuse(transfer, BASE_ERROR_FAILED, "the server's answers to range requests make no sense");
            else if (restart(transfer))
                continue;
        }
        if (transfer->refusal != NULL) {
            g_propagate_error(error, g_steal_pointer(&transfer->refusal));
            return false;
        }
        if (code == CURLE_OK &&
            (transfer->is_not_modified || transfer->size == 0 || transfer->have == transfer->size))
            return true;
        failures = transfer->have > best ? 0 : failures + 1;
        best = MAX(best, transfer->have);
        if ((code != CURLE_OK && !net_curl_is_transient(code, status)) ||
            failures > transfer->limits->max_failures)
            return describe(transfer, code, error);
        net_curl_pause(transfer->curl, transfer->limits, failures);
    }
}

static void
transfer_init(Transfer *transfer, const char *url, const NetLimits *limits)
{
    *transfer = (Transfer){.url = url, .limits = limits, .fd = -1, .curl = net_curl_new()};
}

bool
net_http_get(const char *url, size_t max_bytes, const char *etag, const NetLimits *limits,
             NetReply *out_reply, GError **error)
{
    g_auto(Transfer) transfer = {0};

    transfer_init(&transfer, url, limits);
    transfer.memory = g_byte_array_new();
    transfer.max_size = max_bytes;
    transfer.if_none_match = etag;
    if (!run(&transfer, error))
        return false;
    *out_reply =
        (NetReply){.etag = transfer.is_not_modified ? g_strdup(etag) : g_steal_pointer(&transfer.etag)};
    if (!transfer.is_not_modified)
        out_reply->body = g_byte_array_free_to_bytes(g_steal_pointer(&transfer.memory));
    return true;
}

bool
net_http_download(const NetDownload *download, const NetLimits *limits, GError **error)
{
    g_auto(Transfer) transfer = {0};

    transfer_init(&transfer, download->url, limits);
    transfer.fd = download->fd;
    transfer.have = download->offset;
    transfer.size = download->size;
    transfer.max_size = download->size > 0 ? download->size : download->max_size;
    transfer.progress = download->progress;
    transfer.total = download->total;
    return run(&transfer, error);
}
