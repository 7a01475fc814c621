// SPDX-License-Identifier: Apache-2.0
/* News about whom to trust, from a source's server. */
#pragma once

#include "fetch/trust_state.h"

/**
 * trust_refresh: fetch what @source publishes of its trust and keys, if it has changed, and take over what follows
 * from what is believed already: later versions of the trust that enough root keys have signed, and new subkeys and
 * revocations of the keys that are trusted. Nothing that a server says makes it trust another key, and nothing that
 * it leaves out makes it forget a revocation.
 * @uri: the source's own, or that of a mirror
 * @out_changed: whether anything was taken over
 * Errors: BASE_ERROR_UNAVAILABLE, _INTERRUPTED as net_get(); _UNTRUSTED where the trust is forged or a fork, or where
 * there is none and the source has roots
 */
bool trust_refresh(Source *source, char *uri, GPtrArray *warnings, bool *out_changed, GError **error);
