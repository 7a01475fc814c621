// SPDX-License-Identifier: Apache-2.0
/*
 * What this host keeps of the trust in a source, in a 0700 folder of its own: path_state()/trust/SOURCE. For a source
 * pinned by root keys, the accepted trust and from it the keys that may sign the index; for every signed source the
 * public keys as far as they are known, with each subkey and revocation that was ever seen.
 */
#pragma once

#include "fetch/source.h"
#include "sign/sign.h"

typedef struct {
    GPtrArray *chain;             /* (element-type SignTrust) (nullable) accepted; the last version counts */
    GBytes *trust;                /* (nullable) its bytes */
    GBytes *keys;                 /* (nullable) public keys */
    char *trust_etag, *keys_etag; /* of @uri */
    char *keys_digest;            /* of what @keys_etag was given for */
    char *uri;
} TrustState;
void trust_state_clear(TrustState *state);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TrustState, trust_state_clear)

/** trust_state_path: (transfer full) a file of the source @name, which source_is_name() has checked. */
char *trust_state_path(const char *name, const char *leaf);

/** trust_state_forget: the source is removed, or added anew. */
bool trust_state_forget(const char *name, GError **error);

/** trust_state_read: all NULL where nothing is kept, or where it is of other pins and roots than @source has now. */
bool trust_state_read(const Source *source, TrustState *out_state, GError **error);

bool trust_state_write(const Source *source, const TrustState *state, GError **error);

/** trust_state_last: (nullable) the version that counts. Borrowed. */
const SignTrust *trust_state_last(const TrustState *state);

/**
 * trust_state_apply: give @source the keys, and where it has roots the pins, the repository-id and the expiry, that
 * @state has for it now.
 * Errors: BASE_ERROR_UNTRUSTED: the trust is of another repository than the source
 */
bool trust_state_apply(Source *source, const TrustState *state, GError **error);

/** trust_state_load: trust_state_read(), then trust_state_apply(). */
bool trust_state_load(Source *source, GError **error);
