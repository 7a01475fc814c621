// SPDX-License-Identifier: Apache-2.0
/* What the key and trust verbs share. For verb files only. */
#pragma once

#include "base/json.h"
#include "publish/trust.h"

/** keys_is_home: whether @path is a GnuPG home; else it is taken for a repository. */
bool keys_is_home(const char *path);

/** keys_parse_type: "ed25519" (or NULL), "rsa3072" or "rsa". */
bool keys_parse_type(const char *text, SignKeyKind *out_kind, GError **error);

/** keys_check_secret: --passphrase-file and --credential exclude each other. */
bool keys_check_secret(const SignSecret *secret, GError **error);

/** keys_open: (transfer full) the repository @location with its lock held. */
PublishRepo *keys_open(const char *location, GError **error);

/** keys_republish: the same content as the next version, for as long as it was signed the last time. */
bool keys_republish(PublishRepo *repo, Index *index, GError **error);

/** keys_json: (transfer full) a key with its subkeys. @signer: (nullable) fingerprint of what signs. */
Json *keys_json(const SignKey *key, const char *signer);

/** keys_status: (transfer full) "signs", "next", "revoked", "expired" ... of a subkey, for people. */
char *keys_status(const SignKey *key, const SignSubkey *subkey, const char *signer);
