// SPDX-License-Identifier: Apache-2.0
/*
 * GnuPG's operations on one home, as plain facts (the wall around gpgme). Nothing is decided here: what a
 * signature is worth is policy.c's business.
 */
#pragma once

#include "sign/sign.h"

/* What GnuPG found out about one signature. Its own return codes are no verdict: a tampered text is
 * "Success". */
typedef enum {
    GPG_SIGNATURE_GOOD,
    GPG_SIGNATURE_BAD,
    GPG_SIGNATURE_EXPIRED,
    GPG_SIGNATURE_KEY_EXPIRED,
    GPG_SIGNATURE_KEY_REVOKED,
    GPG_SIGNATURE_KEY_UNKNOWN,
    GPG_SIGNATURE_ERROR, /* anything else; status_text says what */
} GpgStatus;

typedef struct {
    GpgStatus status;
    char *status_text;
    char *key;     /* what made the signature: the (sub)key's fingerprint, or only its key id */
    char *primary; /* full fingerprint of the primary key; NULL where the key is not known */
    char *digest;  /* "SHA512" */
    bool is_digest_strong;
    unsigned weak_bits; /* size of an RSA or DSA (sub)key or primary below 2048 bits; 0: none */
    bool is_key_revoked, is_key_expired; /* the primary or the signing key, as the key itself says */
    int64_t signed_at, expires_at;
    int64_t key_expires_at; /* of the primary or the signing key, whichever comes first; 0: never */
} GpgSignature;
void sign_gpg_signature_free(GpgSignature *signature);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GpgSignature, sign_gpg_signature_free)

typedef struct Gpg Gpg;

/** sign_gpg_open: GnuPG on the home @home, whose gpg.conf home.c has written. */
Gpg *sign_gpg_open(const char *home, GError **error);
void sign_gpg_free(Gpg *gpg);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Gpg, sign_gpg_free)

bool sign_gpg_import(Gpg *gpg, GBytes *keys, GError **error);

/** sign_gpg_list: (transfer full) (element-type SignKey) the home's public keys. */
GPtrArray *sign_gpg_list(Gpg *gpg, GError **error);

bool sign_gpg_delete(Gpg *gpg, const char *fingerprint, GError **error);

/** sign_gpg_export: (transfer full) one public key, or all of them for NULL, minimal and armoured. */
GBytes *sign_gpg_export(Gpg *gpg, const char *fingerprint, GError **error);

/** sign_gpg_set_passphrase: what protects, or is to protect, the home's secret keys. Borrowed for the context's life. */
void sign_gpg_set_passphrase(Gpg *gpg, const char *passphrase);

/** sign_gpg_create: (transfer full) a new sign-only key: its fingerprint. @valid_days 0: for ever. */
char *sign_gpg_create(Gpg *gpg, SignKeyKind kind, const char *user_id, unsigned valid_days, GError **error);

/** sign_gpg_add_subkey: (transfer full) a new signing subkey of the key @primary: its fingerprint. */
char *sign_gpg_add_subkey(Gpg *gpg, SignKeyKind kind, const char *primary, unsigned valid_days,
                          GError **error);

/** sign_gpg_revoke: subkey number @subkey of the key @primary, from 1; 0: the whole key. */
bool sign_gpg_revoke(Gpg *gpg, const char *primary, unsigned subkey, GError **error);

/** sign_gpg_sign: with the home's default key; fails unless the result is one SHA-512 signature by @signer. */
GBytes *sign_gpg_sign(Gpg *gpg, GBytes *text, bool is_clear, const char *signer, GError **error);

/**
 * sign_gpg_verify: what is known about every signature of @message, which is clear-signed where @text is
 * NULL, else a detached signature of @text.
 * @out_text: (transfer full) (nullable): the signed text of a clear-signed message, whatever the signature is
 * worth Returns: (transfer full) (element-type GpgSignature), or NULL where there is none or GnuPG failed
 */
GPtrArray *sign_gpg_verify(Gpg *gpg, GBytes *message, GBytes *text, GBytes **out_text, GError **error);
