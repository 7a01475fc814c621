// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP through libcurl, and nothing else of it: one request at a time, each judged by its status and headers
 * before a byte of its body is taken, and repeated from where it stopped while that makes sense.
 */
#include "base/fd.h"
#include "base/interrupt.h"
#include "net/private.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MAX_REDIRECTS 8L
#define LOW_SPEED_BYTES 1000L /* per second */
#define BUFFER_BYTES (512L << 10)
#define MAX_PAUSE_MS 60000u

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
    Progress *progress;
    const char *if_none_match;
    char *etag; /* strong; of the bytes in the sink */

    /* The request at hand. */
    bool has_asked_range;
    bool is_accepted; /* its status and headers were judged */
    bool is_not_modified;
    bool must_restart; /* its answer makes the bytes so far useless */
    char *reply_etag;
    char *content_range;
    bool is_encoded;
    GError *refusal; /* why a callback stopped the transfer for good */
} Transfer;

static void
init_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void
transfer_clear(Transfer *transfer)
{
    curl_easy_cleanup(transfer->curl);
    g_clear_pointer(&transfer->memory, g_byte_array_unref);
    g_free(transfer->etag);
    g_free(transfer->reply_etag);
    g_free(transfer->content_range);
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
    if (transfer->content_range == NULL ||
        !net_parse_content_range(transfer->content_range, &first, &last, &total) || first != transfer->have ||
        last != total - 1) {
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
    if (transfer->is_encoded)
        return refuse(transfer, BASE_ERROR_FAILED,
                      "the server sent a Content-Encoding that was not asked for");
    if (!(status == 206 ? accept_part(transfer) : accept_whole(transfer)))
        return false;
    g_free(transfer->etag);
    transfer->etag = g_steal_pointer(&transfer->reply_etag);
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
    progress_set(transfer->progress, transfer->have);
    return size;
}

/* The value of header @name in @line, or NULL. */
static char *
header_value(const char *line, size_t size, const char *name)
{
    size_t length = strlen(name);

    if (size <= length || line[length] != ':' || g_ascii_strncasecmp(line, name, length) != 0)
        return NULL;
    return g_strstrip(g_strndup(line + length + 1, size - length - 1));
}

static void
replace(char **text, char *value)
{
    g_free(*text);
    *text = value;
}

static size_t
on_header(char *line, size_t one, size_t count, void *context)
{
    Transfer *transfer = context;
    size_t size = one * count;
    char *value;

    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* a new answer, after a redirect */
        g_clear_pointer(&transfer->reply_etag, g_free);
        g_clear_pointer(&transfer->content_range, g_free);
        transfer->is_encoded = false;
    } else if ((value = header_value(line, size, "ETag")) != NULL) {
        replace(&transfer->reply_etag, value);
        if (*value != '"') /* weak: says nothing of bytes (RFC 9110, 8.8.3) */
            g_clear_pointer(&transfer->reply_etag, g_free);
    } else if ((value = header_value(line, size, "Content-Range")) != NULL) {
        replace(&transfer->content_range, value);
    } else if ((value = header_value(line, size, "Content-Encoding")) != NULL) {
        transfer->is_encoded = g_ascii_strcasecmp(value, "identity") != 0;
        g_free(value);
    }
    return size;
}

static int
on_progress(void *context G_GNUC_UNUSED, curl_off_t a G_GNUC_UNUSED, curl_off_t b G_GNUC_UNUSED,
            curl_off_t c G_GNUC_UNUSED, curl_off_t d G_GNUC_UNUSED)
{
    return interrupt_signal() != 0;
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
    bool is_secure = g_ascii_strncasecmp(transfer->url, "https:", 6) == 0;

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, transfer->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, is_secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
                     (long)CURL_HTTP_VERSION_1_1); /* one bulk stream gains nothing by 2 */
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "virt-depot/" VD_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)transfer->limits->connect_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)transfer->limits->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->message);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

/* Proxy, authorities and who we are. curl itself drops a credential on a redirect to another host, port or scheme. */
static void
set_access(const Transfer *transfer)
{
    const NetAccess *access = transfer->limits->access;
    CURL *curl = transfer->curl;
    const char *credential = access == NULL ? NULL : access->credential;

    curl_easy_setopt(curl, CURLOPT_NETRC,
                     (long)(credential == NULL ? CURL_NETRC_OPTIONAL : CURL_NETRC_IGNORED));
    if (access == NULL)
        return;
    if (access->proxy != NULL) {
        curl_easy_setopt(curl, CURLOPT_PROXY, access->proxy);
        curl_easy_setopt(curl, CURLOPT_NOPROXY,
                         ""); /* the environment's exceptions are from the system's proxy */
    }
    if (access->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, access->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (credential == NULL || access->origin == NULL ||
        !net_url_is_same_origin(access->origin, transfer->url))
        return;
    if (g_ascii_strncasecmp(credential, "bearer ", 7) == 0) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, credential + 7);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, credential);
    }
}

static CURLcode
request(Transfer *transfer)
{
    struct curl_slist *headers;
    CURLcode code;

    transfer->has_asked_range = transfer->have > 0;
    transfer->is_accepted = transfer->is_not_modified = transfer->must_restart = transfer->is_encoded = false;
    g_clear_pointer(&transfer->reply_etag, g_free);
    g_clear_pointer(&transfer->content_range, g_free);
    transfer->message[0] = '\0';
    headers = request_headers(transfer);
    set_options(transfer, headers);
    set_access(transfer);
    code = curl_easy_perform(transfer->curl);
    if (code == CURLE_OK && !accept_reply(transfer))
        code = CURLE_WRITE_ERROR;
    curl_slist_free_all(headers);
    return code;
}

static bool
is_transient(CURLcode code, long status)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SSL_CONNECT_ERROR:
        return true;
    case CURLE_HTTP_RETURNED_ERROR:
        return status == 408 || status == 425 || status == 429 || status >= 500;
    default:
        return false;
    }
}

/* Why a request failed, as an error; transient ones are UNAVAILABLE. */
static void
describe(Transfer *transfer, CURLcode code, GError **error)
{
    long status = 0;

    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        error_set_code(error,
                       status == 404 || status == 410 ? BASE_ERROR_NOT_FOUND
                       : is_transient(code, status)   ? BASE_ERROR_UNAVAILABLE
                                                      : BASE_ERROR_FAILED,
                       "%s: the server answers with HTTP status %ld", transfer->url, status);
    else if (code == CURLE_UNSUPPORTED_PROTOCOL)
        error_set(error, "%s: redirected to a protocol that is not allowed", transfer->url);
    else if (code == CURLE_OK)
        error_set_code(error, BASE_ERROR_UNAVAILABLE,
                       "%s: the server stopped after %" G_GUINT64_FORMAT " bytes", transfer->url,
                       transfer->have);
    else if (code == CURLE_SSL_CACERT_BADFILE)
        error_set(error, "%s: %s: not a file of certificates in PEM", transfer->url,
                  transfer->limits->access != NULL && transfer->limits->access->ca_file != NULL
                      ? transfer->limits->access->ca_file
                      : "the system's authorities");
    else
        error_set_code(error, is_transient(code, status) ? BASE_ERROR_UNAVAILABLE : BASE_ERROR_FAILED,
                       "%s: %s", transfer->url,
                       transfer->message[0] != '\0' ? transfer->message : curl_easy_strerror(code));
}

/* After failure number @failures in a row, 0 after progress: 1, 1, 2, 4 ... times the limit's pause, or what the
 * server asks for. */
static void
pause_before_retry(Transfer *transfer, unsigned failures)
{
    curl_off_t asked = 0;
    uint64_t ms = (uint64_t)transfer->limits->retry_ms << (MAX(failures, 1) - 1);

    curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &asked);
    if (asked > 0 && transfer->limits->retry_ms > 0)
        ms = MAX(ms, (uint64_t)MIN(asked, 60) * transfer->limits->retry_ms);
    poll(NULL, 0, (int)MIN(ms, MAX_PAUSE_MS)); /* a signal ends it early */
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
        if ((code != CURLE_OK && !is_transient(code, status)) || failures > transfer->limits->max_failures) {
            describe(transfer, code, error);
            return false;
        }
        pause_before_retry(transfer, failures);
    }
}

static void
transfer_init(Transfer *transfer, const char *url, const NetLimits *limits)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, init_once);
    *transfer = (Transfer){.url = url, .limits = limits, .fd = -1, .curl = curl_easy_init()};
    g_assert(transfer->curl != NULL); /* fails for want of memory only */
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
    return run(&transfer, error);
}
