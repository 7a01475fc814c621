// SPDX-License-Identifier: Apache-2.0
/*
 * OpenPGP through gpgme: keys of a repository, signing an index, verifying one against pins. Verification
 * uses a private, short-lived GnuPG home that holds only the pinned keys; the user's own keyring is never
 * read.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

#define SIGN_MAX_TEXT (100u << 20) /* an index of INDEX_MAX_BYTES with its armour */
#define SIGN_MAX_KEYS (1u << 20)   /* keys.asc: a handful of public keys */
#define SIGN_FINGERPRINT_DIGITS 40u

/** SignVerified: proof that @text was signed by @fingerprint, a pinned key. Only sign_verify_*() makes one.
 */
typedef struct {
    GBytes *text;      /* what the signature covers, and nothing else */
    char *fingerprint; /* of the primary key, 40 upper-case hex digits */
    char *pin; /* the pin that it satisfies: @fingerprint, or the subkey's where that one was pinned */
    int64_t signed_at;
    int64_t expires_at; /* of the signature; 0: never */
    int64_t
        key_expires_at; /* of the primary key or the subkey that signed, whichever comes first; 0: never */
} SignVerified;
void sign_verified_free(SignVerified *verified);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SignVerified, sign_verified_free)

typedef enum { SIGN_KEY_ED25519, SIGN_KEY_RSA3072 } SignKeyKind;

/**
 * SignSecret: where a passphrase comes from; never from the command line or the environment. Borrowed strings;
 * both NULL, or no SignSecret at all: what the key's home remembers, else a key without passphrase.
 */
typedef struct {
    const char *file;       /* its first line; nobody but the owner may be able to read it */
    const char *credential; /* a systemd credential: the file of that name in $CREDENTIALS_DIRECTORY */
} SignSecret;

/**
 * sign_key_create: a new sign-only key in the new GnuPG home @home (0700; at most 87 bytes of path: an agent's
 * socket must fit in 108). @home is there with the complete key or not at all, and remembers where its
 * passphrase comes from (the place, not the passphrase).
 * @user_id: "Example images <images@example.org>"
 * @valid_days: of the key; 0: does not expire
 * @secret: (nullable) NULL: no passphrase
 * Returns: (transfer full) the primary fingerprint, or NULL
 */
char *sign_key_create(const char *home, SignKeyKind kind, const char *user_id, unsigned valid_days,
                      const SignSecret *secret, GError **error);

/** sign_secret_is_given: whether @secret (nullable) names anything. */
bool sign_secret_is_given(const SignSecret *secret);

/** sign_key_succeed: sign_key_create() of a key in @home that comes after the one in @before: same passphrase. */
char *sign_key_succeed(const char *before, const char *home, SignKeyKind kind, const char *user_id,
                       GError **error);

/** sign_key_fingerprint: (transfer full) the fingerprint of the one secret key in @home. */
char *sign_key_fingerprint(const char *home, GError **error);

/** SignSubkey: one (sub)key as it says of itself. */
typedef struct {
    char *fingerprint;        /* 40 upper-case hex digits */
    char *algorithm;          /* "ed25519", "rsa3072" */
    int64_t created, expires; /* unix seconds; @expires 0: never */
    bool can_sign, is_revoked, is_expired;
    unsigned weak_bits; /* size of an RSA or DSA key below 2048 bits; 0: none */
} SignSubkey;

typedef struct {
    char *user_id;      /* the first; "" for none */
    GPtrArray *subkeys; /* (element-type SignSubkey) the primary key first */
} SignKey;
void sign_key_free(SignKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SignKey, sign_key_free)

/** sign_key_primary: borrowed. */
const SignSubkey *sign_key_primary(const SignKey *key);

/** sign_key_subkey: (nullable) the (sub)key with that normal fingerprint. */
const SignSubkey *sign_key_subkey(const SignKey *key, const char *fingerprint);

/** sign_key_read: (transfer full) the one key in @home. */
SignKey *sign_key_read(const char *home, GError **error);

/** sign_key_signer: (transfer full) what signs in @home: a subkey that sign_key_use() chose, else the primary key. */
char *sign_key_signer(const char *home, GError **error);

/**
 * sign_key_prepare: the signing subkey that comes after the present signer: one that was prepared before and is
 * still good, else a new one, of the primary key's algorithm. It signs nothing until sign_key_use().
 * @valid_days: of a new subkey; 0: as long as the primary key
 * Returns: (transfer full) its fingerprint
 */
char *sign_key_prepare(const char *home, unsigned valid_days, GError **error);

/** sign_key_use: let the (sub)key @fingerprint sign in @home from now on. */
bool sign_key_use(const char *home, const char *fingerprint, GError **error);

/** sign_key_revoke: revoke a subkey of @home's key, or with the primary fingerprint the key as a whole. */
bool sign_key_revoke(const char *home, const char *fingerprint, GError **error);

/** sign_key_export: (transfer full) the public key(s) in @home, armoured. */
GBytes *sign_key_export(const char *home, GError **error);

/**
 * sign_index: clear-sign @text and make a detached signature, both with @home's signer, SHA-512, both signatures
 * expiring after @valid_days.
 */
bool sign_index(const char *home, GBytes *text, unsigned valid_days, GBytes **out_clear,
                GBytes **out_detached, GError **error);

/** sign_detached: (transfer full) an armoured detached signature of @text that does not expire. */
GBytes *sign_detached(const char *home, GBytes *text, const SignSecret *secret, GError **error);

/** sign_is_fingerprint: 40 hex digits; blanks between them are allowed. */
bool sign_is_fingerprint(const char *text);

/** sign_normal_fingerprint: (transfer full) 40 upper-case hex digits without blanks, or NULL with USAGE set.
 */
char *sign_normal_fingerprint(const char *text, GError **error);

/**
 * sign_select_key: from @keys (armoured or binary, at most SIGN_MAX_KEYS; untrusted), the one public key
 * whose primary fingerprint is @fingerprint, minimal, armoured.
 * @fingerprint: (nullable) NULL: @keys must hold exactly one key
 * @out_fingerprint: (transfer full) (nullable)
 * Errors: BASE_ERROR_UNTRUSTED where it is not there
 */
GBytes *sign_select_key(GBytes *keys, const char *fingerprint, char **out_fingerprint, GError **error);

/**
 * sign_merge_keys: everything that @blocks say of the keys with those primary fingerprints, in one armoured block:
 * new subkeys and expiries join, and a revocation stays whatever the other blocks leave out.
 * @blocks: (element-type GBytes) each as @keys above
 * @fingerprints: NULL-terminated, normal; NULL: all
 * Returns: (transfer full) possibly empty: a key that is in none of the blocks is no error
 */
GBytes *sign_merge_keys(const GPtrArray *blocks, const char *const *fingerprints, GError **error);

/** sign_list_keys: (transfer full) (element-type SignKey) the keys in @keys, which are as above. */
GPtrArray *sign_list_keys(GBytes *keys, GError **error);

/** SignPolicy: what the strict rules let pass on top; flags. */
typedef enum {
    SIGN_STRICT = 0,
    SIGN_ALLOW_WEAK_DIGEST = 1 << 0, /* SHA-1 and RIPEMD160, for indexes of another age; never MD5 */
    SIGN_ALLOW_EXPIRED =
        1 << 1, /* signatures and keys: what was good once. Never for what is going to be used */
} SignPolicy;

/** SignCheck: what a signature is measured against. All borrowed. */
typedef struct {
    GBytes *keys;            /* public keys of the pins */
    const char *const *pins; /* NULL-terminated full fingerprints, of primary keys or of exact subkeys */
    SignPolicy policy;
    const char
        *verdict;     /* (nullable) file, in a folder of one's own, that remembers the last good verdict: the
                          * same bytes, keys, pins and policy need no gpg again until something expires */
    const char *name; /* for messages, usually the URL */
} SignCheck;

/**
 * sign_verify_clear: verify a clear-signed message. Exactly one signature, by a pinned key, by any signing
 * subkey of a pinned primary key or by a pinned subkey; nothing before or after the message; good status of the
 * signature itself. Expired or revoked keys, expired signatures, weak digests (MD5, SHA-1, RIPEMD160) and
 * RSA/DSA keys below 2048 bits are refused.
 * Errors: BASE_ERROR_UNTRUSTED, with a sentence that says what is wrong and what to do
 */
SignVerified *sign_verify_clear(GBytes *message, const SignCheck *check, GError **error);

/** sign_verify_detached: the same for @text with the detached @signature (binary or armoured). */
SignVerified *sign_verify_detached(GBytes *text, GBytes *signature, const SignCheck *check, GError **error);

/**
 * sign_verify_own: the same for what the key of @home signed before, except that the signature may have
 * expired, and so may the subkey that made it: the publisher is about to sign again, and must never sign a text
 * that is not its own.
 */
SignVerified *sign_verify_own(const char *home, GBytes *text, GBytes *signature, const char *name,
                              GError **error);

/*
 * Trust: who may sign a repository's index, said by its root keys. A chain of texts, version 1, 2, 3 ..., each signed
 * by enough root keys of its own and of the version before it; docs/trust.md has the formats.
 */
#define SIGN_TRUST_MAX_BYTES (1u << 20) /* 200 versions with 20 keys each are 280 KB */
#define SIGN_TRUST_MAX_VERSIONS 200u    /* one each quarter for fifty years */
#define SIGN_TRUST_MAX_ROOTS 16u        /* people who can meet to sign */
#define SIGN_TRUST_MAX_INDEX_KEYS 32u   /* publishing hosts, and their successors */
#define SIGN_TRUST_MAX_SIGNATURES 2000u /* what 1 MiB can frame, and more than any trust needs */
#define SIGN_TRUST_MAX_TRIES 64u        /* of one version, each a run of gpg: twice all roots, old and new */

typedef struct {
    char *fingerprint; /* normal */
    int64_t not_after; /* unix seconds; 0: as long as the text */
} SignIndexKey;

/** SignTrust: one version. */
typedef struct {
    char *repo_id; /* UUID in lower case */
    uint64_t version;
    int64_t created, expires; /* unix seconds */
    unsigned threshold;       /* how many of @roots must sign */
    char **roots;             /* normal fingerprints */
    GPtrArray *index_keys;    /* (element-type SignIndexKey) at least one */
    GBytes *text;             /* its exact bytes, as they were parsed; NULL: made here */
} SignTrust;
SignTrust *sign_trust_new(void);
void sign_trust_free(SignTrust *trust);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SignTrust, sign_trust_free)

/** sign_trust_add_index_key: append a key. */
void sign_trust_add_index_key(SignTrust *trust, const char *fingerprint, int64_t not_after);

/** sign_trust_has_root, sign_trust_index_key: (nullable) whether @fingerprint is one of them. */
bool sign_trust_has_root(const SignTrust *trust, const char *fingerprint);
const SignIndexKey *sign_trust_index_key(const SignTrust *trust, const char *fingerprint);

/** sign_trust_print: (transfer full) its canonical text. */
char *sign_trust_print(const SignTrust *trust);

/**
 * sign_trust_parse_one: (transfer full) a text that stands alone; only what sign_trust_print() could have written.
 * @name: for messages, which have the form "@name:LINE: ..."
 * Errors: BASE_ERROR_UNTRUSTED
 */
SignTrust *sign_trust_parse_one(GBytes *bytes, const char *name, GError **error);

/** sign_trust_parse: (transfer full) (element-type SignTrust) a chain: version 1 and on, all of one repository. */
GPtrArray *sign_trust_parse(GBytes *bytes, const char *name, GError **error);

typedef struct {
    uint64_t version; /* of the text that it signs */
    GBytes *armour;   /* one armoured signature block */
} SignTrustSignature;

/** sign_trust_parse_signatures: (transfer full) (element-type SignTrustSignature) what trust.sig holds. */
GPtrArray *sign_trust_parse_signatures(GBytes *bytes, const char *name, GError **error);

/** sign_trust_print_signature: append @armour, a signature of @version, as trust.sig has it. */
void sign_trust_print_signature(GString *to, uint64_t version, GBytes *armour);

/**
 * sign_trust_signers: (transfer full) those of @roots whose good signature of @trust's exact bytes is among
 * @signatures, by every rule of sign_verify_detached(); each once. Stops at @enough.
 * @keys: public keys, from anywhere
 */
GPtrArray *sign_trust_signers(const SignTrust *trust, const GPtrArray *signatures, GBytes *keys,
                              const char *const *roots, unsigned enough);

/**
 * sign_trust_check: whether @trust is signed by enough of its own root keys and of @before's.
 * @before: (nullable) the version before
 * Errors: BASE_ERROR_UNTRUSTED, which says how many are missing
 */
bool sign_trust_check(const SignTrust *trust, const SignTrust *before, const GPtrArray *signatures,
                      GBytes *keys, const char *name, GError **error);

/**
 * sign_trust_adopt: the last version of @chain, if it follows from what is believed: from @accepted, through each
 * version in between, or with no @accepted from @threshold of the pinned @roots. A chain that ends before @accepted,
 * or has another text in its place, is refused. Whether the last version has expired is for the caller to see.
 * Returns: borrowed from @chain, or NULL with BASE_ERROR_UNTRUSTED set
 */
const SignTrust *sign_trust_adopt(const GPtrArray *chain, const GPtrArray *signatures, GBytes *keys,
                                  const SignTrust *accepted, const char *const *roots, unsigned threshold,
                                  const char *name, GError **error);
