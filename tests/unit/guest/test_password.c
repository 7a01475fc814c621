// SPDX-License-Identifier: Apache-2.0
/* Which scheme a guest gets, and that its login would accept the hash. */
#include "guest/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <crypt.h>
#include <string.h>

static void
old_and_unknown_guests_get_sha512(void **state)
{
    static const struct {
        const char *distro;
        int major;
        const char *scheme;
    } table[] = {
        {"debian", 12, "$y$"}, {"debian", 10, "$6$"},   {"ubuntu", 18, "$6$"},
        {"ubuntu", 22, "$y$"}, {"centos", 8, "$6$"},    {"rocky", 9, "$y$"},
        {"alpine", 3, "$6$"},  {"archlinux", 0, "$y$"}, {NULL, 0, "$6$"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++)
        assert_string_equal(password_scheme(table[i].distro, table[i].major), table[i].scheme);
}

static void
a_hash_verifies_and_has_a_salt_of_its_own(void **state)
{
    static const char *const schemes[] = {"$y$", "$6$"};

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(schemes); i++) {
        g_autofree char *first = password_hash("s3cret: pw", schemes[i], NULL);
        g_autofree char *second = password_hash("s3cret: pw", schemes[i], NULL);

        assert_true(g_str_has_prefix(first, schemes[i]));
        assert_string_not_equal(first, second);
        assert_string_equal(crypt("s3cret: pw", first), first);
        assert_string_not_equal(crypt("other", first), first);
        assert_null(strpbrk(first, ":\n"));
    }
}

static void
an_unknown_scheme_is_an_error(void **state)
{
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_null(password_hash("x", "$nothing$", &error));
    assert_non_null(error);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_and_unknown_guests_get_sha512),
        cmocka_unit_test(a_hash_verifies_and_has_a_salt_of_its_own),
        cmocka_unit_test(an_unknown_scheme_is_an_error),
    };

    return cmocka_run_group_tests_name("guest/password", tests, NULL, NULL);
}
