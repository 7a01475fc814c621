// SPDX-License-Identifier: Apache-2.0
/* Version strings of simplestreams, in order and as revisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index/version.h"

#include <glib.h>

static void
test_versions_are_ordered_by_the_value_of_their_numbers(void **state G_GNUC_UNUSED)
{
    /* Each list from old to new. */
    static const char *const LISTS[][5] = {
        {"20140317", "20140908", "20150422"},
        {"20240101", "20240101.1", "20240101.9", "20240101.10", "20240102"},
        {"20240101_07:42", "20240101_13:00", "20240102_00:01"},
        {"0.3.4", "0.3.10", "0.4.0", "1.0"},
        {"9", "10", "0000011"},
        {"", "a", "b"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(LISTS); i++)
        for (size_t k = 0; k + 1 < G_N_ELEMENTS(LISTS[i]) && LISTS[i][k + 1] != NULL; k++) {
            const char *older = LISTS[i][k], *newer = LISTS[i][k + 1];

            if (index_version_compare(older, newer) >= 0 || index_version_compare(newer, older) <= 0 ||
                index_version_compare(older, older) != 0)
                fail_msg("%s, %s", older, newer);
            if (index_version_revision(older) > index_version_revision(newer))
                fail_msg("revisions of %s, %s", older, newer);
        }
}

static void
test_a_revision_says_the_date(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *version;
        uint64_t revision;
    } CASES[] = {
        {"20150422", 201504220000},
        {"20240101.12", 202401010012},
        {"20240101_07:42", 202401010742},
        {"202511172324", 202511172324},
        {"20251117232459", 202511172324},
        {"20240101.123456", 202401019999},
        {"0.3.4", 300040000},
        {"", 1},
        {"abc", 1},
        {"99999999999999999999999999999999", 999999999999},
        {"9999.9999.9999.9999.9999", 9999999999999999},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (index_version_revision(CASES[i].version) != CASES[i].revision)
            fail_msg("%s: %" G_GUINT64_FORMAT, CASES[i].version, index_version_revision(CASES[i].version));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_are_ordered_by_the_value_of_their_numbers),
        cmocka_unit_test(test_a_revision_says_the_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
