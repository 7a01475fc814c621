// SPDX-License-Identifier: Apache-2.0
/*
 * The trust that a repository publishes: who may sign its index, said by root keys that are not on this host. Kept
 * among this host's keys, not taken from the folder that is served, and published with every version.
 */
#pragma once

#include "publish/repo.h"

typedef struct {
    GBytes *text;       /* trust */
    GBytes *signatures; /* trust.sig */
    GBytes *keys;       /* public keys of all who are named there */
    GPtrArray *chain;   /* (element-type SignTrust) NULL: the repository has no trust */
    GPtrArray *blocks;  /* (element-type SignTrustSignature) */
} PublishTrust;
void publish_trust_clear(PublishTrust *trust);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishTrust, publish_trust_clear)

/** publish_trust_key_name: (transfer full) what the names of a repository's keys begin with: made from its id alone, so
 * that nothing written in a repository can point to another one's key. */
char *publish_trust_key_name(const char *repo_id);

/** publish_trust_read: everything NULL where the repository has none. */
bool publish_trust_read(const PublishRepo *repo, PublishTrust *out_trust, GError **error);

/** publish_trust_last: (nullable) the version that counts. Borrowed. */
const SignTrust *publish_trust_last(const PublishTrust *trust);

/**
 * publish_trust_extend: @next, with its @signatures and the public @keys that are needed, as the version that counts,
 * if enough root keys have signed it. Nothing is published yet.
 * Errors: BASE_ERROR_UNTRUSTED
 */
bool publish_trust_extend(const PublishRepo *repo, GBytes *next, GBytes *signatures, GBytes *keys,
                          GError **error);

/** publish_trust_check: what publish_trust_extend() would find, without doing it. */
bool publish_trust_check(const PublishRepo *repo, GBytes *next, GBytes *signatures, GBytes *keys,
                         GError **error);

/** publish_trust_names: whether clients that follow the roots accept @fingerprint's signature now. True without trust. */
bool publish_trust_names(const PublishTrust *trust, const char *fingerprint, GError **error);

/**
 * publish_trust_keys: (transfer full) keys.asc: those of the roots, of index keys that came before or come next, and
 * last the one that signs, because virt-builder takes the last key of a file.
 */
GBytes *publish_trust_keys(const PublishRepo *repo, const PublishTrust *trust, GError **error);
