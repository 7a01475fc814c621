// SPDX-License-Identifier: Apache-2.0
/*
 * PUT of "index": all signed texts of a new version in one request; private to repod/. If-Match with the tag of the index that
 * the publisher started from makes it a compare-and-swap; If-None-Match: * is for the first one.
 */
#pragma once

#include "repod/access.h"
#include "repod/route.h"

#define PUSH_MAX_AT_ONCE 4u /* each may take three times STORE_MAX_PUSH of memory */

/** push_begin: access was granted to @grant. */
void push_begin(const RouteFacts *facts, const AccessGrant *grant, const HttpRequest *request, Reply *reply,
                Exchange *out_exchange);
