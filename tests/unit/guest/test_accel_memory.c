// SPDX-License-Identifier: Apache-2.0
/* What STATE/accel.json remembers, and that a damaged one is a miss. */
#include "guest/accel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void
a_verdict_comes_back_for_the_same_facts(void **state)
{
    static const char *const reasons[] = {NULL, "KVM does not work on this host: failed to set MSR 0x10a"};

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(reasons); i++) {
        g_autofree char *text = accel_memory_print("boot=1", reasons[i]);
        g_autofree char *reason = NULL;
        GuestAccel accel = GUEST_ACCEL_AUTO;

        assert_true(accel_memory_parse(text, strlen(text), "boot=1", &accel, &reason));
        assert_int_equal(accel, reasons[i] == NULL ? GUEST_ACCEL_KVM : GUEST_ACCEL_TCG);
        assert_int_equal(g_strcmp0(reason, reasons[i]), 0);
        assert_false(accel_memory_parse(text, strlen(text), "boot=2", &accel, &reason));
    }
}

static void
anything_damaged_is_a_miss(void **state)
{
    static const char *const table[] = {
        "",
        "{",
        "[]",
        "{\"facts\": \"f\"}",
        "{\"facts\": 1, \"accel\": \"kvm\"}",
        "{\"facts\": \"f\", \"accel\": \"xen\", \"reason\": \"r\"}",
        "{\"facts\": \"f\", \"accel\": \"tcg\"}",
        "{\"facts\": \"f\", \"accel\": \"kvm\", \"reason\": \"r\"}",
        "{\"facts\": \"f\", \"accel\": \"tcg\", \"reason\": \"two\\nlines\"}",
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        GuestAccel accel = GUEST_ACCEL_AUTO;
        char *reason = NULL;

        assert_false(accel_memory_parse(table[i], strlen(table[i]), "f", &accel, &reason));
        assert_null(reason);
    }
}

static void
names_are_parsed(void **state)
{
    GuestAccel accel;
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(guest_accel_parse("tcg", &accel, NULL));
    assert_int_equal(accel, GUEST_ACCEL_TCG);
    assert_false(guest_accel_parse("KVM", &accel, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verdict_comes_back_for_the_same_facts),
        cmocka_unit_test(anything_damaged_is_a_miss),
        cmocka_unit_test(names_are_parsed),
    };

    return cmocka_run_group_tests_name("guest/accel_memory", tests, NULL, NULL);
}
