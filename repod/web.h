// SPDX-License-Identifier: Apache-2.0
/* The paths that name no file: health, metrics, the page and the API; private to repod/. */
#pragma once

#include "repod/route.h"

/** web_route_server: /healthz, /readyz and /metrics, of whatever host. Returns: whether it is one of them, and is begun */
bool web_route_server(const RouteFacts *facts, const HttpRequest *request, Reply *reply,
                      Exchange *out_exchange);

/** web_redirect: the way from "/images" to "/images/", since a browser would resolve the page's links against "/". Returns:
 * whether that is what @request needs */
bool web_redirect(const RouteFacts *facts, const HttpRequest *request, Reply *reply);

/** web_route_none: what is in no repository: the list at "/", and web_redirect(). */
bool web_route_none(const RouteFacts *facts, const HttpRequest *request, Reply *reply);

/** web_route_site: the page and the API of @facts->site, for a GET or HEAD that it has admitted. */
bool web_route_site(const RouteFacts *facts, const HttpRequest *request, Reply *reply,
                    Exchange *out_exchange);
