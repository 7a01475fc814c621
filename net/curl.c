// SPDX-License-Identifier: Apache-2.0
/* What all requests through libcurl have in common: options, credentials, and when to try again. */
#include "net/curl.h"

#include "base/interrupt.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define LOW_SPEED_BYTES 1000L /* per second */
#define MAX_PAUSE_MS 60000u
#define RATE_PAUSE_MS 100 /* then Ctrl-C is looked for */
#define MAX_REDIRECTS 8L
#define MIN_BUFFER ((uint64_t)4096)

static atomic_uint_fast64_t requests, body_bytes;

NetUsage
net_usage(void)
{
    return (NetUsage){atomic_load(&requests), atomic_load(&body_bytes)};
}

/* keep_rate: curl's own limit forgets what the transfers before had, and lets the beginning of each through. */
static void
keep_rate(uint64_t rate, size_t bytes)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static gint64 due_us; /* when all that came so far should have come */
    gint64 until;

    pthread_mutex_lock(&lock);
    due_us = MAX(due_us, g_get_monotonic_time()) + (gint64)(bytes * G_USEC_PER_SEC / rate);
    until = due_us;
    pthread_mutex_unlock(&lock);
    for (gint64 left = until - g_get_monotonic_time(); left > 0 && interrupt_signal() == 0;
         left = until - g_get_monotonic_time())
        poll(NULL, 0, (int)MIN(left / 1000 + 1, RATE_PAUSE_MS));
}

void
net_curl_count(const NetLimits *limits, size_t bytes)
{
    atomic_fetch_add(&body_bytes, bytes);
    if (limits->max_rate > 0)
        keep_rate(limits->max_rate, bytes);
}

static void
init_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void
net_curl_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, init_once);
}

CURL *
net_curl_new(void)
{
    CURL *curl;

    net_curl_init();
    curl = curl_easy_init();
    g_assert(curl != NULL); /* fails for want of memory only */
    return curl;
}

/* The value of header @name in @line, or NULL. */
char *
net_curl_header_value(const char *line, size_t size, const char *name)
{
    size_t length = strlen(name);

    if (size <= length || line[length] != ':' || g_ascii_strncasecmp(line, name, length) != 0)
        return NULL;
    return g_strstrip(g_strndup(line + length + 1, size - length - 1));
}

void
net_curl_replace(char **text, char *value)
{
    g_free(*text);
    *text = value;
}

void
net_head_clear(NetHead *head)
{
    g_free(head->etag);
    g_free(head->content_range);
    *head = (NetHead){0};
}

void
net_head_read(NetHead *head, const char *line, size_t size)
{
    char *value;

    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        net_head_clear(head);
    } else if ((value = net_curl_header_value(line, size, "ETag")) != NULL) {
        net_curl_replace(&head->etag, value);
        if (*value != '"') /* weak: says nothing of bytes (RFC 9110, 8.8.3) */
            g_clear_pointer(&head->etag, g_free);
    } else if ((value = net_curl_header_value(line, size, "Content-Range")) != NULL) {
        net_curl_replace(&head->content_range, value);
    } else if ((value = net_curl_header_value(line, size, "Content-Encoding")) != NULL) {
        head->is_encoded = g_ascii_strcasecmp(value, "identity") != 0;
        g_free(value);
    }
}

static int
on_progress(void *context G_GNUC_UNUSED, curl_off_t a G_GNUC_UNUSED, curl_off_t b G_GNUC_UNUSED,
            curl_off_t c G_GNUC_UNUSED, curl_off_t d G_GNUC_UNUSED)
{
    return interrupt_signal() != 0;
}

/* With a slow rate a whole buffer would be a pause for longer than a stall may last. */
static long
buffer_size(const NetLimits *limits)
{
    const uint64_t slice = MAX(limits->max_rate / 4, MIN_BUFFER);

    return limits->max_rate == 0 ? NET_CURL_BUFFER : (long)MIN(slice, (uint64_t)NET_CURL_BUFFER);
}

/* set_common: what every request has. */
void
net_curl_set_common(CURL *curl, const char *url, const NetLimits *limits, char *message,
                    struct curl_slist *headers)
{
    atomic_fetch_add(&requests, 1);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
                     (long)CURL_HTTP_VERSION_1_1); /* one bulk stream gains nothing by 2 */
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "virt-depot/" VD_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)limits->connect_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)limits->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, buffer_size(limits));
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

void
net_curl_set_get(CURL *curl, const char *url)
{
    bool is_secure = g_ascii_strncasecmp(url, "https:", 6) == 0;

    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, is_secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
}

/* Proxy, authorities and who we are. curl itself drops a credential on a redirect to another host, port or scheme. */
void
net_curl_set_access(CURL *curl, const char *url, const NetAccess *access)
{
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
    if (access->origin == NULL || !net_url_is_same_origin(access->origin, url))
        return;
    if (access->cert_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, access->cert_file);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, access->key_file);
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); /* set_get() comes before */
    }
    if (credential == NULL)
        return;
    if (g_ascii_strncasecmp(credential, "bearer ", 7) == 0) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, credential + 7);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, credential);
    }
}

bool
net_curl_is_transient(CURLcode code, long status)
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

bool
net_curl_set_failure(CURL *curl, CURLcode code, const char *url, const char *message, const NetLimits *limits,
                     GError **error)
{
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return error_set_code(error,
                              status == 404 || status == 410        ? BASE_ERROR_NOT_FOUND
                              : net_curl_is_transient(code, status) ? BASE_ERROR_UNAVAILABLE
                                                                    : BASE_ERROR_FAILED,
                              "%s: the server answers with HTTP status %ld", url, status);
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return error_set(error, "%s: redirected to a protocol that is not allowed", url);
    if (code == CURLE_SSL_CACERT_BADFILE)
        return error_set(error, "%s: %s: not a file of certificates in PEM", url,
                         limits->access != NULL && limits->access->ca_file != NULL
                             ? limits->access->ca_file
                             : "the system's authorities");
    return error_set_code(error,
                          net_curl_is_transient(code, status) ? BASE_ERROR_UNAVAILABLE : BASE_ERROR_FAILED,
                          "%s: %s", url, *message != '\0' ? message : curl_easy_strerror(code));
}

unsigned
net_curl_pause_ms(CURL *curl, const NetLimits *limits, unsigned failures)
{
    curl_off_t asked = 0;
    uint64_t ms = (uint64_t)limits->retry_ms << (MIN(MAX(failures, 1), 16) - 1);

    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked);
    ms += ms / 5;
    ms -= ms * (uint64_t)g_random_int_range(0, 100) / 300;
    if (asked > 0 && limits->retry_ms > 0)
        ms = MAX(ms, (uint64_t)MIN(asked, 60) * limits->retry_ms);
    return (unsigned)MIN(ms, MAX_PAUSE_MS);
}

void
net_curl_pause(CURL *curl, const NetLimits *limits, unsigned failures)
{
    poll(NULL, 0, (int)net_curl_pause_ms(curl, limits, failures)); /* a signal ends it early */
}
