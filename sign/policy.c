// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of trust, each with its own sentence. GnuPG's summary and validity are left out on purpose: they
 * depend on its trust model, while ours is the list of pins. gpg exits 0 for expired and revoked keys; here
 * they fail.
 */
#include "sign/policy.h"

static char *
day_text(int64_t unix_seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(unix_seconds);

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M UTC") : g_strdup("an unknown date");
}

/* find_pin: the primary key vouches for its subkeys; a pin may also name one subkey alone. Only full fingerprints
 * match: GnuPG gives a mere key id where it does not have the key. */
static const char *
find_pin(const GpgSignature *signature, const char *const *pins)
{
    for (; *pins != NULL; pins++) {
        if (g_strcmp0(signature->primary, *pins) == 0 ||
            (signature->primary != NULL && g_strcmp0(signature->key, *pins) == 0))
            return *pins;
    }
    return NULL;
}

static bool
check_status(const GpgSignature *signature, SignPolicy policy, const char *name, GError **error)
{
    const char *key = signature->primary != NULL ? signature->primary : signature->key;
    g_autofree char *day = NULL;

    switch (signature->status) {
    case GPG_SIGNATURE_GOOD:
        return true;
    case GPG_SIGNATURE_BAD:
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: was changed after key %s signed it; fetch it again, and tell the publisher "
            "if it stays so",
            name, key);
    case GPG_SIGNATURE_EXPIRED:
        if ((policy & SIGN_ALLOW_EXPIRED) != 0)
            return true;
        day = day_text(signature->expires_at);
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the signature by key %s expired on %s; the publisher must sign it again "
                              "(or this host's clock is wrong)",
                              name, key, day);
    case GPG_SIGNATURE_KEY_EXPIRED:
        if ((policy & SIGN_ALLOW_EXPIRED) != 0)
            return true;
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: key %s, which signed it, has expired; get the publisher's renewed key",
                              name, key);
    case GPG_SIGNATURE_KEY_REVOKED:
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: key %s, which signed it, was revoked; get the publisher's new key and "
                              "fingerprint",
                              name, key);
    case GPG_SIGNATURE_KEY_UNKNOWN:
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: signed by key %s, which is not pinned; ask the publisher whether the key "
                              "changed before you pin it",
                              name, key);
    case GPG_SIGNATURE_ERROR:
        break;
    }
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: the signature by key %s cannot be checked: %s",
                          name, key, signature->status_text);
}

static bool
check_key(const GpgSignature *signature, const char *const *pins, SignPolicy policy, const char *name,
          const char **out_pin, GError **error)
{
    const char *key = signature->primary, *pin = find_pin(signature, pins);

    if (pin == NULL)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: signed by key %s, which is not pinned; ask the publisher whether the key "
                              "changed before you pin it",
                              name, key != NULL ? key : signature->key);
    if (signature->is_key_revoked)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: key %s, which signed it, was revoked; get the publisher's new key and "
                              "fingerprint",
                              name, key);
    if (signature->is_key_expired && (policy & SIGN_ALLOW_EXPIRED) == 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: key %s, which signed it, has expired; get the publisher's renewed key",
                              name, key);
    if (signature->weak_bits != 0)
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: key %s has only %u bits and could be forged; the publisher needs one of at "
            "least 2048",
            name, key, signature->weak_bits);
    if (out_pin != NULL)
        *out_pin = pin;
    return true;
}

static bool
check_digest(const GpgSignature *signature, SignPolicy policy, const char *name, GError **error)
{
    bool is_allowed = (policy & SIGN_ALLOW_WEAK_DIGEST) != 0 && g_strcmp0(signature->digest, "MD5") != 0;

    if (signature->is_digest_strong || is_allowed)
        return true;
    return error_set_code(error, BASE_ERROR_UNTRUSTED,
                          "%s: the signature by key %s uses %s, which can be forged; the publisher must sign "
                          "with SHA-256 or SHA-512",
                          name, signature->primary, signature->digest);
}

bool
sign_policy_check(const GPtrArray *signatures, const char *const *pins, SignPolicy policy, const char *name,
                  const char **out_pin, GError **error)
{
    const GpgSignature *signature;

    if (signatures->len != 1)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: carries %u signatures; exactly one is accepted", name, signatures->len);
    signature = g_ptr_array_index(signatures, 0);
    if (!check_status(signature, policy, name, error) ||
        !check_key(signature, pins, policy, name, out_pin, error))
        return false;
    return check_digest(signature, policy, name, error);
}
