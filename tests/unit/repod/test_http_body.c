// SPDX-License-Identifier: Apache-2.0
/* Where bodies end: chunked ones whole, byte by byte and in halves, and every way to get them wrong. */
#include "repod/http_body.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

typedef struct {
    const char *name;
    const char *input;   /* after a head that says "chunked" */
    const char *content; /* NULL: refused */
    size_t used;         /* 0: all of it */
} Row;

static const Row rows[] = {
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", 0},
    {"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", 0},
    {"nothing", "0\r\n\r\n", "", 0},
    {"hex of both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0},
    {"leading zeroes", "000005\r\nhello\r\n000\r\n\r\n", "hello", 0},
    {"extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", 0},
    {"trailers", "0\r\nX: y:z\r\nZ: \r\n\r\n", "", 0},
    {"the next request", "0\r\n\r\nGET", "", 5},

    {"size 0x5", "0x5\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"size +5", "+5\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"size -5", "-5\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"size with a blank before", " 5\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"size with a blank after", "5 \r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"blank before the extension", "5 ;a\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"size too large", "fffffffffffffffff\r\n", NULL, 0},
    {"no size", "\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"extension without a size", ";a\r\n", NULL, 0},
    {"bare LF after the size", "5\nhello\r\n0\r\n\r\n", NULL, 0},
    {"bare CR after the size", "5\rhello\r\n0\r\n\r\n", NULL, 0},
    {"bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"digits after CR", "5\r5\nhello\r\n0\r\n\r\n", NULL, 0},
    {"bare LF after the data", "5\r\nhello\n0\r\n\r\n", NULL, 0},
    {"no end after the data", "5\r\nhello0\r\n\r\n", NULL, 0},
    {"more data than its size", "5\r\nhello!\r\n0\r\n\r\n", NULL, 0},
    {"bare LF ends the trailers", "0\r\n\n", NULL, 0},
    {"bare LF in the trailers", "0\r\nX: y\n\r\n", NULL, 0},
    {"a trailer without a colon", "0\r\nX\r\n\r\n", NULL, 0},
    {"a trailer without a name", "0\r\n: y\r\n\r\n", NULL, 0},
    {"a trailer with a blank in its name", "0\r\nX : y\r\n\r\n", NULL, 0},
    {"a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", NULL, 0},
    {"control byte in a trailer", "0\r\nX: \x01\r\n\r\n", NULL, 0},
};

/* The content, or NULL where the body was refused or not complete; fed @step bytes at a time. */
static char *
read_all(const char *input, size_t step, size_t *out_used)
{
    const HttpRequest request = {.has_body = true, .is_chunked = true};
    g_autoptr(GString) content = g_string_new(NULL);
    HttpBody body;
    size_t at = 0, size = strlen(input);

    http_body_init(&body, &request);
    while (at <= size) {
        size_t used;
        HttpText piece;
        HttpBodyVerdict verdict = http_body_read(&body, input + at, MIN(step, size - at), &used, &piece);

        at += used;
        if (verdict == BODY_DATA)
            g_string_append_len(content, piece.at, (gssize)piece.length);
        if (verdict == BODY_DONE) {
            *out_used = at;
            assert_int_equal(body.total, content->len);
            return g_string_free(g_steal_pointer(&content), FALSE);
        }
        if (verdict == BODY_BAD || (verdict == BODY_MORE && at == size))
            return NULL;
    }
    return NULL;
}

static void
chunked_bodies_end_where_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const size_t steps[] = {1, 2, 3, strlen(rows[i].input)};

        for (size_t j = 0; j < G_N_ELEMENTS(steps); j++) {
            size_t used = 0;
            g_autofree char *content = read_all(rows[i].input, steps[j], &used);

            if (g_strcmp0(content, rows[i].content) != 0)
                fail_msg("%s in steps of %zu: '%s'", rows[i].name, steps[j], content);
            if (content != NULL)
                assert_int_equal(used, rows[i].used != 0 ? rows[i].used : strlen(rows[i].input));
        }
    }
}

static void
lines_without_an_end_are_refused(void **state)
{
    g_autofree char *padding = g_strnfill(10000, 'x');
    g_autofree char *extension = g_strconcat("5;", padding, "\r\n", NULL);
    g_autofree char *trailer = g_strconcat("0\r\nX: ", padding, "\r\n\r\n", NULL);
    size_t used;

    (void)state;
    assert_null(read_all(extension, 100, &used));
    assert_null(read_all(trailer, 100, &used));
}

static void
a_stated_length_is_counted(void **state)
{
    const HttpRequest request = {.has_body = true, .length = 5};
    HttpBody body;
    HttpText piece;
    size_t used;

    (void)state;
    http_body_init(&body, &request);
    assert_int_equal(http_body_read(&body, "hel", 3, &used, &piece), BODY_DATA);
    assert_int_equal(piece.length, 3);
    assert_int_equal(http_body_read(&body, "", 0, &used, &piece), BODY_MORE);
    assert_int_equal(http_body_read(&body, "loGET", 5, &used, &piece), BODY_DATA);
    assert_int_equal(used, 2);
    assert_int_equal(http_body_read(&body, "GET", 3, &used, &piece), BODY_DONE);
    assert_int_equal(used, 0);
}

static void
no_body_is_over_at_once(void **state)
{
    const HttpRequest request = {.has_body = false};
    HttpBody body;
    HttpText piece;
    size_t used;

    (void)state;
    http_body_init(&body, &request);
    assert_int_equal(http_body_read(&body, "GET", 3, &used, &piece), BODY_DONE);
    assert_int_equal(used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_bodies_end_where_they_should),
        cmocka_unit_test(lines_without_an_end_are_refused),
        cmocka_unit_test(a_stated_length_is_counted),
        cmocka_unit_test(no_body_is_over_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
