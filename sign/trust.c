// SPDX-License-Identifier: Apache-2.0
/* Who signed a version of trust, and which version may be believed. */
#include "sign/sign.h"

#include <string.h>

static bool
contains(const GPtrArray *list, const char *text)
{
    return g_ptr_array_find_with_equal_func((GPtrArray *)list, text, g_str_equal, NULL);
}

GPtrArray *
sign_trust_signers(const SignTrust *trust, const GPtrArray *signatures, GBytes *keys,
                   const char *const *roots, unsigned enough)
{
    const SignCheck check = {.keys = keys, .pins = roots, .name = "trust"};
    GPtrArray *signers = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0, tries = 0; i < signatures->len && signers->len < enough; i++) {
        const SignTrustSignature *signature = g_ptr_array_index(signatures, i);
        g_autoptr(SignVerified) verified = NULL;

        if (signature->version != trust->version)
            continue;
        if (++tries > SIGN_TRUST_MAX_TRIES)
            break;
        /* One that does not verify counts for nothing and harms nobody: anybody could have put it there. */
        verified = sign_verify_detached(trust->text, signature->armour, &check, NULL);
        if (verified != NULL && !contains(signers, verified->fingerprint))
            g_ptr_array_add(signers, g_strdup(verified->fingerprint));
    }
    return signers;
}

static bool
check_roots(const SignTrust *trust, const GPtrArray *signatures, GBytes *keys, const char *const *roots,
            unsigned threshold, const char *whose, const char *name, GError **error)
{
    g_autoptr(GPtrArray) signers = sign_trust_signers(trust, signatures, keys, roots, threshold);

    if (threshold > 0 && signers->len >= threshold)
        return true;
    return error_set_code(error, BASE_ERROR_UNTRUSTED,
                          "%s: version %" G_GUINT64_FORMAT
                          " of the trust is signed by %u of %s root keys, and %u are needed",
                          name, trust->version, signers->len, whose, threshold);
}

bool
sign_trust_check(const SignTrust *trust, const SignTrust *before, const GPtrArray *signatures, GBytes *keys,
                 const char *name, GError **error)
{
    return check_roots(trust, signatures, keys, (const char *const *)trust->roots, trust->threshold,
                       "its own", name, error) &&
           (before == NULL || check_roots(trust, signatures, keys, (const char *const *)before->roots,
                                          before->threshold, "the version before's", name, error));
}

/* check_continues: the chain holds what was accepted, unchanged. */
static bool
check_continues(const GPtrArray *chain, const SignTrust *accepted, const char *name, GError **error)
{
    const SignTrust *same;

    if (chain->len < accepted->version)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the trust ends with version %u, but version %" G_GUINT64_FORMAT
                              " was accepted before, so it was rolled back",
                              name, chain->len, accepted->version);
    same = g_ptr_array_index(chain, accepted->version - 1);
    if (!g_bytes_equal(same->text, accepted->text))
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: version %" G_GUINT64_FORMAT
            " of the trust is another text than the one accepted before: a forgery, or root keys "
            "in wrong hands; ask the publisher",
            name, accepted->version);
    return true;
}

const SignTrust *
sign_trust_adopt(const GPtrArray *chain, const GPtrArray *signatures, GBytes *keys, const SignTrust *accepted,
                 const char *const *roots, unsigned threshold, const char *name, GError **error)
{
    const SignTrust *last = g_ptr_array_index(chain, chain->len - 1);

    if (accepted == NULL)
        return sign_trust_check(last, NULL, signatures, keys, name, error) &&
                       check_roots(last, signatures, keys, roots, threshold, "the pinned", name, error)
                   ? last
                   : NULL;
    if (!check_continues(chain, accepted, name, error))
        return NULL;
    for (guint i = (guint)accepted->version; i < chain->len; i++)
        if (!sign_trust_check(g_ptr_array_index(chain, i), g_ptr_array_index(chain, i - 1), signatures, keys,
                              name, error))
            return NULL;
    return last;
}
