// SPDX-License-Identifier: Apache-2.0
/* What the files of net/ share. */
#pragma once

#include "net/net.h"

/** net_http_get, net_http_download: the public functions for http and https URLs. */
bool net_http_get(const char *url, size_t max_bytes, const char *etag, const NetLimits *limits,
                  NetReply *out_reply, GError **error);
bool net_http_download(const NetDownload *download, const NetLimits *limits, GError **error);

/** net_local_path: (transfer full) (nullable) the path of a file:/// URL or of an absolute path. */
char *net_local_path(const char *url);

/** net_parse_content_range: "bytes FIRST-LAST/TOTAL" (RFC 9110, 14.4), complete and consistent. */
bool net_parse_content_range(const char *value, uint64_t *out_first, uint64_t *out_last, uint64_t *out_total);
