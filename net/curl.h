// SPDX-License-Identifier: Apache-2.0
/* libcurl, for http.c and send.c alone. */
#pragma once

#include "net/private.h"

#include <curl/curl.h>

#define NET_CURL_BUFFER (512L << 10)

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

/** net_curl_is_transient: whether another try may help. */
bool net_curl_is_transient(CURLcode code, long status);

/** net_curl_pause: after failure number @failures in a row, 0 after progress: 1, 1, 2, 4 ... times the limit's pause, or what
 * the server asks for. */
void net_curl_pause(CURL *curl, const NetLimits *limits, unsigned failures);
