// SPDX-License-Identifier: Apache-2.0
/* Lines of the access log. */
#include "repod/access_log.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

static AccessText *
text_new(const char *method, const char *target, const char *agent)
{
    const HttpRequest request = {
        .method_name = {method, strlen(method)},
        .target = {target, strlen(target)},
        .user_agent = {agent, agent != NULL ? strlen(agent) : 0},
    };

    return access_text_new(&request);
}

static void
formats_a_line_that_no_client_can_forge(void **state)
{
    static const struct {
        const char *method, *target, *expected;
    } rows[] = {
        {"GET", "/index.asc", "GET /index.asc 206 5 42\n"},
        {"GET", "/a\nb\\c\x7f\xc3 200", "GET /a\\x0ab\\x5cc\\x7f\\xc3\\x20200 206 5 42\n"},
        {NULL, NULL, "- - 206 5 42\n"},
    };
    const RequestNote note = {.method = HTTP_GET};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree AccessText *text =
            rows[i].method != NULL ? text_new(rows[i].method, rows[i].target, NULL) : NULL;
        AccessEntry entry = {"[::1]:80", text, &note, 206, 5, 42, G_GINT64_CONSTANT(784111777042999)};
        g_autoptr(GString) line = g_string_new(NULL);
        g_autofree char *expected = g_strconcat("1994-11-06T08:49:37.042Z [::1]:80 ", rows[i].expected, NULL);

        access_log_format(line, &entry);
        assert_string_equal(line->str, expected);
    }
}

static void
formats_json_that_no_client_can_break(void **state)
{
    static const char agent[] = "evil\"}\n{\"status\":200,\\\xff";
    g_autofree AccessText *text = text_new("GET", "/a\"b\\c", agent);
    const RequestNote note = {.method = HTTP_GET, .site = "images", .token = "ci"};
    g_autoptr(GString) line = g_string_new(NULL);
    g_autoptr(Json) json = NULL;
    AccessEntry entry = {"127.0.0.1:80", text, &note, 200, 5, 42, G_GINT64_CONSTANT(784111777042999)};

    (void)state;
    access_log_format_json(line, &entry);
    assert_ptr_equal(strchr(line->str, '\n'), line->str + line->len - 1);
    json = json_parse(line->str, line->len, "line", NULL);
    assert_non_null(json);
    assert_string_equal(json_get_text(json, "time"), "1994-11-06T08:49:37.042Z");
    assert_string_equal(json_get_text(json, "peer"), "127.0.0.1:80");
    assert_string_equal(json_get_text(json, "method"), "GET");
    assert_string_equal(json_get_text(json, "target"), "/a\"b\\c");
    assert_int_equal(json_get_number(json, "status", 0), 200);
    assert_int_equal(json_get_number(json, "bytes", 0), 5);
    assert_int_equal(json_get_number(json, "microseconds", 0), 42);
    assert_string_equal(json_get_text(json, "repository"), "images");
    assert_string_equal(json_get_text(json, "token"), "ci");
    assert_string_equal(json_get_text(json, "agent"), "evil\"}\n{\"status\":200,\\\u00ff");
}

static void
leaves_out_what_is_not_there_and_cuts_the_agent(void **state)
{
    g_autofree char *long_agent = g_strnfill(4000, 'x');
    g_autofree AccessText *text = text_new("GET", "/", long_agent);
    const RequestNote note = {.method = HTTP_OTHER};
    g_autoptr(GString) without = g_string_new(NULL), with = g_string_new(NULL);
    AccessEntry unread = {"127.0.0.1:80", NULL, &note, 400, 0, 1, 0},
                entry = {"127.0.0.1:80", text, &note, 200, 0, 1, 0};

    (void)state;
    access_log_format_json(without, &unread);
    assert_string_equal(without->str, "{\"time\":\"1970-01-01T00:00:00.000Z\",\"peer\":\"127.0.0.1:80\","
                                      "\"status\":400,\"bytes\":0,\"microseconds\":1}\n");
    access_log_format_json(with, &entry);
    assert_true(with->len < 200 + ACCESS_MAX_AGENT);
}

static void
writes_whole_lines_when_flushed_and_when_freed(void **state)
{
    int ends[2];
    char text[256] = "";
    g_autofree AccessText *request = text_new("GET", "/", NULL);
    const RequestNote note = {.method = HTTP_GET};
    AccessLog *log;
    AccessEntry entry = {"127.0.0.1:80", request, &note, 404, 0, 1, 0};

    (void)state;
    assert_int_equal(pipe(ends), 0);
    log = access_log_new(ends[1], false);
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
        cmocka_unit_test(formats_json_that_no_client_can_break),
        cmocka_unit_test(leaves_out_what_is_not_there_and_cuts_the_agent),
        cmocka_unit_test(writes_whole_lines_when_flushed_and_when_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
