// SPDX-License-Identifier: Apache-2.0
/* Which bytes a Range field means (RFC 9110, 14.1.2). */
#include "repod/range.h"

#include <glib.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const struct {
    const char *text;
    uint64_t size;
    RangeKind kind;
    ByteRange range; /* first byte, length */
} rows[] = {
    {"bytes=0-0", 10, RANGE_PART, {0, 1}},
    {"bytes=0-9", 10, RANGE_PART, {0, 10}},
    {"bytes=2-5", 10, RANGE_PART, {2, 4}},
    {"BYTES=2-5", 10, RANGE_PART, {2, 4}}, /* unit names are case-insensitive */
    {"bytes=9-", 10, RANGE_PART, {9, 1}},
    {"bytes=0-", 10, RANGE_PART, {0, 10}},
    {"bytes=5-100", 10, RANGE_PART, {5, 5}},
    {"bytes=5-99999999999999999999999999", 10, RANGE_PART, {5, 5}},
    {"bytes=-4", 10, RANGE_PART, {6, 4}},
    {"bytes=-10", 10, RANGE_PART, {0, 10}},
    {"bytes=-11", 10, RANGE_PART, {0, 10}},
    {"bytes=-99999999999999999999999999", 10, RANGE_PART, {0, 10}},
    {"bytes=5000000000-5000000001", 6000000000, RANGE_PART, {5000000000, 2}},
    {"bytes=0-18446744073709551615", UINT64_MAX, RANGE_PART, {0, UINT64_MAX}},

    {"bytes=10-", 10, RANGE_UNSATISFIABLE, {0, 0}},
    {"bytes=10-20", 10, RANGE_UNSATISFIABLE, {0, 0}},
    {"bytes=99999999999999999999999999-", 10, RANGE_UNSATISFIABLE, {0, 0}},
    {"bytes=-0", 10, RANGE_UNSATISFIABLE, {0, 0}},
    {"bytes=0-", 0, RANGE_UNSATISFIABLE, {0, 0}},
    {"bytes=0-0", 0, RANGE_UNSATISFIABLE, {0, 0}},
    {"bytes=-0", 0, RANGE_UNSATISFIABLE, {0, 0}},

    {"bytes=-5", 0, RANGE_WHOLE, {0, 0}},
    {"bytes=5-3", 10, RANGE_WHOLE, {0, 10}}, /* 14.1.1: invalid, so ignored */
    {"bytes=0-1,3-4", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=0-1,", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=,0-1", 10, RANGE_WHOLE, {0, 10}},
    {"bytes= 0-1", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=0 -1", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=0-1 ", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=+0-1", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=0x0-1", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=--1", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=-", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=5", 10, RANGE_WHOLE, {0, 10}},
    {"bytes=", 10, RANGE_WHOLE, {0, 10}},
    {"bytes", 10, RANGE_WHOLE, {0, 10}},
    {"bytes 0-1", 10, RANGE_WHOLE, {0, 10}},
    {"items=0-1", 10, RANGE_WHOLE, {0, 10}},
    {"", 10, RANGE_WHOLE, {0, 10}},
};

static void
reads_each_kind_of_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        size_t length = strlen(rows[i].text);
        g_autofree char *text = g_malloc(length + (length == 0));
        ByteRange range;
        RangeKind kind;

        memcpy(text, rows[i].text, length);
        kind = range_parse((HttpText){text, length}, rows[i].size, &range);
        if (kind != rows[i].kind || range.first != rows[i].range.first ||
            range.length != rows[i].range.length)
            fail_msg("'%s' of %" PRIu64 ": kind %d, first %" PRIu64 ", length %" PRIu64, rows[i].text,
                     rows[i].size, kind, range.first, range.length);
    }
}

static void
takes_the_whole_file_where_no_range_came(void **state)
{
    ByteRange range;

    (void)state;
    assert_int_equal(range_parse((HttpText){NULL, 0}, 10, &range), RANGE_WHOLE);
    assert_int_equal(range.length, 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_kind_of_range),
        cmocka_unit_test(takes_the_whole_file_where_no_range_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
