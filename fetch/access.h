// SPDX-License-Identifier: Apache-2.0
/* What requests to a source need to know: proxy, authorities, credential, patience. */
#pragma once

#include "fetch/source.h"
#include "net/net.h"

/**
 * access_init: for all requests to @source and its mirrors. The credential is read here, each time.
 * @out_limits: borrows @out_access, which must stay where it is
 * Errors: a credential that cannot be read, or that others can read, too
 */
bool access_init(const Source *source, NetAccess *out_access, NetLimits *out_limits, GError **error);
