// SPDX-License-Identifier: Apache-2.0
/* The rules of trust on facts made by hand, one row per rule. */
#include "sign/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PIN "0123456789ABCDEF0123456789ABCDEF01234567"
#define OTHER "0123456789ABCDEF0123456789ABCDEF01234568"
#define PINNED .primary = (char *)PIN
#define STRONG .is_digest_strong = true

static const struct {
    GpgSignature signature; /* status 0 is "good" */
    SignPolicy policy;
    const char *expect; /* NULL: accepted */
} CASES[] = {
    {{PINNED, STRONG}, SIGN_STRICT, NULL},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_EXPIRED}, SIGN_ALLOW_EXPIRED, NULL},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_EXPIRED, .expires_at = 86400},
     SIGN_STRICT,
     "expired on 1970-01-02 00:00 UTC"},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_BAD}, SIGN_ALLOW_EXPIRED, "was changed after"},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_KEY_EXPIRED}, SIGN_ALLOW_EXPIRED, NULL},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_KEY_EXPIRED}, SIGN_STRICT, "has expired"},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_KEY_REVOKED}, SIGN_ALLOW_EXPIRED, "was revoked"},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_KEY_UNKNOWN}, SIGN_ALLOW_EXPIRED, "not pinned"},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_ERROR, .status_text = (char *)"odd"},
     SIGN_ALLOW_EXPIRED,
     "cannot be checked: odd"},
    {{STRONG, .primary = (char *)OTHER}, SIGN_ALLOW_EXPIRED, "not pinned"},
    {{STRONG}, SIGN_ALLOW_EXPIRED, "not pinned"},
    {{STRONG, .primary = (char *)"01234567"}, SIGN_ALLOW_EXPIRED, "not pinned"},
    {{PINNED, .digest = (char *)"SHA1"}, SIGN_ALLOW_EXPIRED, "uses SHA1"},
    {{PINNED, .digest = (char *)"SHA1"}, SIGN_ALLOW_WEAK_DIGEST, NULL},
    {{PINNED, .digest = (char *)"MD5"}, SIGN_ALLOW_WEAK_DIGEST, "uses MD5"},
    {{PINNED, STRONG, .status = GPG_SIGNATURE_EXPIRED}, SIGN_ALLOW_WEAK_DIGEST, "expired on"},
    {{.primary = (char *)OTHER, .key = (char *)PIN, STRONG},
     SIGN_STRICT,
     NULL}, /* an exact subkey is pinned */
    {{.key = (char *)PIN, STRONG}, SIGN_STRICT, "not pinned"},
    {{PINNED, STRONG, .weak_bits = 1024}, SIGN_ALLOW_EXPIRED, "only 1024 bits"},
    {{PINNED, STRONG, .is_key_revoked = true}, SIGN_ALLOW_EXPIRED, "was revoked"},
    {{PINNED, STRONG, .is_key_expired = true}, SIGN_STRICT, "has expired"},
    {{PINNED, STRONG, .is_key_expired = true}, SIGN_ALLOW_EXPIRED, NULL},
};

static void
each_rule_has_its_sentence(void **state G_GNUC_UNUSED)
{
    const char *pins[] = {"FFFF456789ABCDEF0123456789ABCDEF01234567", PIN, NULL};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) list = g_ptr_array_new();
        g_autoptr(GError) error = NULL;
        GpgSignature signature = CASES[i].signature;
        bool is_ok;

        if (signature.key == NULL)
            signature.key = (char *)"ABCD";
        g_ptr_array_add(list, &signature);
        is_ok = sign_policy_check(list, pins, CASES[i].policy, "x", NULL, &error);
        if (is_ok != (CASES[i].expect == NULL))
            fail_msg("case %zu: %s", i, error != NULL ? error->message : "was accepted");
        if (!is_ok &&
            (error->code != BASE_ERROR_UNTRUSTED || strstr(error->message, CASES[i].expect) == NULL))
            fail_msg("case %zu: unexpected message: %s", i, error->message);
    }
}

static void
only_a_single_signature_is_accepted(void **state G_GNUC_UNUSED)
{
    const char *pins[] = {PIN, NULL};
    GpgSignature signature = {PINNED, STRONG};

    for (unsigned n = 0; n <= 3; n++) {
        g_autoptr(GPtrArray) list = g_ptr_array_new();

        for (unsigned i = 0; i < n; i++)
            g_ptr_array_add(list, &signature);
        assert_int_equal(sign_policy_check(list, pins, SIGN_STRICT, "x", NULL, NULL), n == 1);
    }
}

static void
no_pin_trusts_nobody(void **state G_GNUC_UNUSED)
{
    const char *pins[] = {NULL};
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    GpgSignature signature = {PINNED, STRONG};

    g_ptr_array_add(list, &signature);
    assert_false(sign_policy_check(list, pins, SIGN_STRICT, "x", NULL, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_has_its_sentence),
        cmocka_unit_test(only_a_single_signature_is_accepted),
        cmocka_unit_test(no_pin_trusts_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
