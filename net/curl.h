// SPDX-License-Identifier: Apache-2.0
/* libcurl, for http.c, range_request.c, ranges.c and send.c alone. */
#pragma once

#include "net/private.h"

#include <curl/curl.h>

#define NET_CURL_BUFFER (512L << 10)

/** net_curl_init: before any other call of libcurl, however often. */
void net_curl_init(void);

/** net_curl_new: a handle; never NULL. */
CURL *net_curl_new(void);

/** net_curl_header_value: (transfer full) (nullable) the value of header @name in @line. */
char *net_curl_header_value(const char *line, size_t size, const char *name);

/** net_curl_replace: @value is taken. */
void net_curl_replace(char **text, char *value);

/** net_curl_set_common: forget the options of the last request, and set what every one has. */
void net_curl_set_common(CURL *curl, const char *url, const NetLimits *limits, char *message,
                         struct curl_slist *headers);

/** net_curl_set_access: proxy, authorities and credential. */
void net_curl_set_access(CURL *curl, const char *url, const NetAccess *access);

/** net_curl_count: @bytes of a body came; waits where that was too fast. */
void net_curl_count(const NetLimits *limits, size_t bytes);

/** NetHead: what decides, of an answer's header lines, whether its body is taken. */
typedef struct {
    char *etag; /* strong, or NULL */
    char *content_range;
    bool is_encoded; /* it has a Content-Encoding, which nobody asked for */
} NetHead;
void net_head_clear(NetHead *head);

/** net_head_read: one header line; the status line of a new answer, as after a redirect, forgets the one before. */
void net_head_read(NetHead *head, const char *line, size_t size);

/** net_curl_set_get: a request for a body: redirects, but never to another protocol than http and https, nor from https to
 * http; error statuses are failures. */
void net_curl_set_get(CURL *curl, const char *url);

/** net_curl_set_failure: why a request failed, as an error: UNAVAILABLE where another try may help. Returns: false always */
bool net_curl_set_failure(CURL *curl, CURLcode code, const char *url, const char *message,
                          const NetLimits *limits, GError **error);

/** net_curl_is_transient: whether another try may help. */
bool net_curl_is_transient(CURLcode code, long status);

/** net_curl_pause_ms: how long to wait after failure number @failures in a row, 0 after progress: 1, 1, 2, 4 ... times the
 * limit's pause, or what the server asks for; a random fifth less or more, so that clients do not come back together. */
unsigned net_curl_pause_ms(CURL *curl, const NetLimits *limits, unsigned failures);
void net_curl_pause(CURL *curl, const NetLimits *limits, unsigned failures);
