// SPDX-License-Identifier: Apache-2.0
/* Lines of the access log. */
#include "repod/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

static void
formats_a_line_that_no_client_can_forge(void **state)
{
    static const struct {
        const char *request, *expected;
    } rows[] = {
        {"GET /index.asc", "GET /index.asc 206 5 42\n"},
        {"GET /a\nb\\c\x7f\xc3", "GET /a\\x0ab\\x5cc\\x7f\\xc3 206 5 42\n"},
        {NULL, "- - 206 5 42\n"},
    };
    Peer peer;

    (void)state;
    assert_true(peer_parse("[::1]:80", &peer, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AccessEntry entry = {&peer, rows[i].request, 206, 5, 42, G_GINT64_CONSTANT(784111777042999)};
        g_autoptr(GString) line = g_string_new(NULL);
        g_autofree char *expected = g_strconcat("1994-11-06T08:49:37.042Z [::1]:80 ", rows[i].expected, NULL);

        access_log_format(line, &entry);
        assert_string_equal(line->str, expected);
    }
}

static void
writes_whole_lines_when_flushed_and_when_freed(void **state)
{
    int ends[2];
    char text[256] = "";
    Peer peer;
    AccessLog *log;
    AccessEntry entry = {&peer, "GET /", 404, 0, 1, 0};

    (void)state;
    assert_true(peer_parse("127.0.0.1:80", &peer, NULL));
    assert_int_equal(pipe(ends), 0);
    log = access_log_new(ends[1]);
    access_log_add(log, &entry);
    access_log_flush(log);
    access_log_flush(log);
    assert_int_equal(read(ends[0], text, sizeof text - 1),
                     strlen("1970-01-01T00:00:00.000Z 127.0.0.1:80 GET / 404 0 1\n"));
    access_log_add(log, &entry);
    access_log_free(log);
    close(ends[1]);
    assert_int_equal(read(ends[0], text, sizeof text - 1), strlen(text));
    assert_int_equal(read(ends[0], text, sizeof text - 1), 0);
    close(ends[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_a_line_that_no_client_can_forge),
        cmocka_unit_test(writes_whole_lines_when_flushed_and_when_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
