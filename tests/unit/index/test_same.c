// SPDX-License-Identifier: Apache-2.0
/* What a cleartext signature covers is compared, and nothing else. */
#include "index/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
only_blanks_at_the_ends_of_lines_may_differ(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *first, *second;
        bool is_same;
    } rows[] = {
        {"", "", true},
        {"", "\n \n", true},
        {"a\nb\n", "a\nb\n", true},
        {"a\nb\n", "a  \nb\t\r\n\n\n", true},
        {"a\nb", "a\nb\n", true},
        {"a\nb\n", "a\n b\n", false},
        {"a\n\nb\n", "a\nb\n", false},
        {"a\nb\n", "a\nb\nc\n", false},
        {"a b", "a  b", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GBytes) first = g_bytes_new_static(rows[i].first, strlen(rows[i].first));
        g_autoptr(GBytes) second = g_bytes_new_static(rows[i].second, strlen(rows[i].second));

        if (index_is_same_text(first, second) != rows[i].is_same ||
            index_is_same_text(second, first) != rows[i].is_same)
            fail_msg("row %zu", i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_blanks_at_the_ends_of_lines_may_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
