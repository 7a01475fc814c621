// SPDX-License-Identifier: Apache-2.0
/* Whose signature on an index counts for a repository that is served; private to repod/. */
#pragma once

#include "repod/config.h"
#include "sign/sign.h"
#include "store/store.h"

/**
 * pins_read: (transfer full) NULL-terminated normal fingerprints: what the configuration says, else what the publisher's own
 * notes in the repository say, which repod can read where it runs as the same user.
 */
char **pins_read(const ConfigSite *site, Store *store, GError **error);

/** PinsChain: the trust that a repository publishes. */
typedef struct {
    GPtrArray *chain;  /* (element-type SignTrust) NULL: none */
    GPtrArray *blocks; /* (element-type SignTrustSignature) */
} PinsChain;
void pins_chain_clear(PinsChain *chain);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PinsChain, pins_chain_clear)

/** pins_chain_parse: @name is for messages. */
bool pins_chain_parse(GBytes *text, GBytes *signatures, const char *name, PinsChain *out_chain,
                      GError **error);

/** pins_chain_last: the present version. */
const SignTrust *pins_chain_last(const PinsChain *chain);

/** pins_add_named: append copies of the keys that @trust lets sign at @when; 0: at any time. @pins: (element-type utf8) */
void pins_add_named(GPtrArray *pins, const SignTrust *trust, int64_t when);

/** pins_roots: (transfer full) those of @pins that are a root key of any version. */
char **pins_roots(const PinsChain *chain, char *const *pins);

/**
 * pins_follow: which version of the trust the root keys among @pins lead to: each of them has signed a version, and from that
 * one every later version follows. Whether the last one has expired is for the caller to see.
 * @keys: public keys, from anywhere
 * @out_first: the version that they have signed; it and all later ones may be believed. 0: none of @pins is a root key, which
 * is no error
 */
bool pins_follow(const PinsChain *chain, GBytes *keys, char *const *pins, uint64_t *out_first,
                 GError **error);
