// SPDX-License-Identifier: Apache-2.0
/* What the request parser takes and what it refuses: the request smuggling table. */
#include "repod/http_parse.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* A request on host "h" with extra fields. */
#define GET(fields) "GET /a HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define POST(fields) "POST /a HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define LINE(line) line "\r\nHost: h\r\n\r\n"

typedef struct {
    const char *name;
    const char *input;
    int status; /* 0: complete */
} Row;

static const Row rows[] = {
    {"plain", GET(""), 0},
    {"HEAD", LINE("HEAD /a HTTP/1.1"), 0},
    {"1.0 needs no host", "GET /a HTTP/1.0\r\n\r\n", 0},
    {"empty value", GET("X:\r\n"), 0},
    {"blanks around a value", GET("X: \t a b \t\r\n"), 0},
    {"high bytes in a value", GET("X: \xc3\xa4\r\n"), 0},
    {"length zero", GET("Content-Length: 0\r\n"), 0},
    {"expectation without a body", GET("Expect: 100-continue\r\n"), 0},
    {"host with port", "GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 0},
    {"absolute form", "GET HTTP://H:80/a HTTP/1.1\r\nHost: h:80\r\n\r\n", 0},

    {"duplicate length, same", GET("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
    {"duplicate length, other", GET("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
    {"duplicate length, zero", GET("Content-Length: 0\r\nContent-Length: 0\r\n"), 400},
    {"length list", GET("Content-Length: 5, 5\r\n"), 400},
    {"blank before the colon", GET("Content-Length : 5\r\n"), 400},
    {"tab before the colon", GET("Content-Length\t: 5\r\n"), 400},
    {"length +5", GET("Content-Length: +5\r\n"), 400},
    {"length -5", GET("Content-Length: -5\r\n"), 400},
    {"length 0x5", GET("Content-Length: 0x5\r\n"), 400},
    {"length 5 5", GET("Content-Length: 5 5\r\n"), 400},
    {"length empty", GET("Content-Length:\r\n"), 400},
    {"length 2^63", GET("Content-Length: 9223372036854775808\r\n"), 400},
    {"length 2^64", GET("Content-Length: 18446744073709551616\r\n"), 400},
    {"length of a hundred digits",
     GET("Content-Length: "
         "00000000000000000000000000000000000000000000000000000000000000000000000000000000009999999999"
         "9999999999\r\n"),
     400},
    {"length with encoding", GET("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
    {"encoding with length zero", GET("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400},
    {"encoding gzip", GET("Transfer-Encoding: gzip\r\n"), 501},
    {"encoding gzip, chunked", GET("Transfer-Encoding: gzip, chunked\r\n"), 501},
    {"encoding chunked, chunked", GET("Transfer-Encoding: chunked, chunked\r\n"), 501},
    {"encoding xchunked", GET("Transfer-Encoding: xchunked\r\n"), 501},
    {"encoding with a vertical tab", GET("Transfer-Encoding: \x0b chunked\r\n"), 400},
    {"encoding empty", GET("Transfer-Encoding:\r\n"), 501},
    {"encoding identity", GET("Transfer-Encoding: identity\r\n"), 501},
    {"encoding twice", GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400},
    {"encoding in 1.0", "GET /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},

    /* No request here has a body, so what its chunks look like never matters: it is refused and the rest dropped. */
    {"a body", GET("Content-Length: 5\r\n"), 413},
    {"a body of 2^63 - 1", GET("Content-Length: 9223372036854775807\r\n"), 413},
    {"chunked body", GET("Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n0\r\n\r\n", 413},
    {"chunk size 0x5", GET("Transfer-Encoding: chunked\r\n") "0x5\r\nhello\r\n0\r\n\r\n", 413},
    {"chunk size +5", GET("Transfer-Encoding: chunked\r\n") "+5\r\nhello\r\n0\r\n\r\n", 413},
    {"chunk size too long", GET("Transfer-Encoding: chunked\r\n") "00000000000000005\r\nhello\r\n", 413},
    {"chunk line with bare LF", GET("Transfer-Encoding: chunked\r\n") "5\nhello\n0\n\n", 413},
    {"chunk extension", GET("Transfer-Encoding: chunked\r\n") "5;a=b\r\nhello\r\n0\r\n\r\n", 413},
    {"chunk without its end", GET("Transfer-Encoding: chunked\r\n") "5\r\nhello0\r\n\r\n", 413},

    {"control byte in a value", GET("X: a\x01\r\n"), 400},
    {"DEL in a value", GET("X: a\x7f\r\n"), 400},
    {"empty name", GET(": a\r\n"), 400},
    {"no colon", GET("X\r\n"), 400},
    {"name with a blank", GET("X Y: a\r\n"), 400},
    {"name with a slash", GET("X/Y: a\r\n"), 400},
    {"name with a high byte", GET("X\xe4: a\r\n"), 400},
    {"folded field", GET("X: a\r\n b\r\n"), 400},
    {"folded first field", "GET /a HTTP/1.1\r\n Host: h\r\n\r\n", 400},
    {"bare CR in a value", GET("X: a\rY: b\r\n"), 400},
    {"bare LF between fields", "GET /a HTTP/1.1\nHost: h\r\n\r\n", 400},
    {"bare LF alone", "GET /a HTTP/1.1\nHost: h\n\n", 400},
    {"CR CR LF", GET("X: a\r\r\n"), 400},
    {"no host", "GET /a HTTP/1.1\r\n\r\n", 400},
    {"two hosts", GET("Host: h\r\n"), 400},
    {"two hosts in 1.0", "GET /a HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", 400},
    {"empty host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"host list", "GET /a HTTP/1.1\r\nHost: h, i\r\n\r\n", 400},
    {"host with a path", "GET /a HTTP/1.1\r\nHost: h/a\r\n\r\n", 400},
    {"host with a user", "GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
    {"absolute form, other host", LINE("GET http://i/a HTTP/1.1"), 400},
    {"absolute form, longer host", LINE("GET http://hh/a HTTP/1.1"), 400},
    {"absolute form, user", LINE("GET http://u@h/a HTTP/1.1"), 400},
    {"absolute form, no host", LINE("GET http:///a HTTP/1.1"), 400},
    {"absolute form, no host in 1.0", "GET http:///a HTTP/1.0\r\n\r\n", 400},
    {"absolute form, no path", LINE("GET http://h HTTP/1.1"), 400},
    {"absolute form, https", LINE("GET https://h/a HTTP/1.1"), 400},
    {"absolute form, nothing", LINE("GET http:// HTTP/1.1"), 400},
    {"authority form", LINE("GET h:80 HTTP/1.1"), 400},
    {"asterisk", LINE("GET * HTTP/1.1"), 400},
    {"fragment", LINE("GET /a#b HTTP/1.1"), 400},
    {"high byte in the target", LINE("GET /\xe4 HTTP/1.1"), 400},

    {"empty line first", "\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"empty request", "\r\n\r\n", 400},
    {"blank first", LINE(" GET /a HTTP/1.1"), 400},
    {"two blanks", LINE("GET  /a HTTP/1.1"), 400},
    {"blank at the end", LINE("GET /a HTTP/1.1 "), 400},
    {"blank in the target", LINE("GET /a b HTTP/1.1"), 400},
    {"tab as separator", LINE("GET\t/a\tHTTP/1.1"), 400},
    {"no version (0.9)", LINE("GET /a"), 400},
    {"no target", LINE("GET HTTP/1.1"), 400},
    {"lower case protocol", LINE("GET /a http/1.1"), 400},
    {"version 1.10", LINE("GET /a HTTP/1.10"), 400},
    {"version 1", LINE("GET /a HTTP/1"), 400},
    {"version x", LINE("GET /a HTTP/x.1"), 400},
    {"version 2.0", LINE("GET /a HTTP/2.0"), 505},
    {"version 1.2", LINE("GET /a HTTP/1.2"), 505},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"method with a high byte", LINE("G\xe4T /a HTTP/1.1"), 400},
    {"lower case method", LINE("get /a HTTP/1.1"), 405},
    {"OPTIONS *", LINE("OPTIONS * HTTP/1.1"), 405},
    {"CONNECT", LINE("CONNECT h:80 HTTP/1.1"), 405},
    {"TRACE", LINE("TRACE /a HTTP/1.1"), 405},
    {"expectation of something else", GET("Expect: 200-ok\r\n"), 417},
    {"two expectations", GET("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417},
    {"DELETE with a body", "DELETE /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 413},
    {"PROPFIND", LINE("PROPFIND /a HTTP/1.1"), 405},
    {"POST with a bad length", POST("Content-Length: 5a\r\n") "hello", 400},
    {"TLS hello", "\x16\x03\x01\x02", 400},
    {"NTLM-like junk without an end", "\x01", 400},
};

static void
answers_each_row_of_the_smuggling_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        HttpRequest request;
        HttpVerdict verdict = http_request_parse(rows[i].input, strlen(rows[i].input), &request);
        HttpVerdict expected = rows[i].status == 0 ? HTTP_COMPLETE : HTTP_REFUSED;

        if (verdict != expected || request.refusal != rows[i].status)
            fail_msg("%s: verdict %d, status %d, expected %d", rows[i].name, verdict, request.refusal,
                     rows[i].status);
        if (verdict == HTTP_REFUSED && !request.should_close)
            fail_msg("%s: refused but kept open", rows[i].name);
        if (verdict == HTTP_COMPLETE &&
            (request.size != strlen(rows[i].input) || strcmp(request.path, "a") != 0))
            fail_msg("%s: path '%s', %zu bytes", rows[i].name, request.path, request.size);
    }
}

static void
describes_the_body_that_follows(void **state)
{
    static const struct {
        const char *input;
        HttpMethod method;
        bool has_body, is_chunked, has_expect;
        uint64_t length;
    } table[] = {
        {POST("Content-Length: 5\r\n"), HTTP_POST, true, false, false, 5},
        {POST(""), HTTP_POST, false, false, false, 0},
        {POST("Content-Length: 0\r\nExpect: 100-continue\r\n"), HTTP_POST, false, false, false, 0},
        {POST("Transfer-Encoding: Chunked\r\n"), HTTP_POST, true, true, false, 0},
        {POST("Expect: 100-Continue\r\nContent-Length: 9223372036854775807\r\n"), HTTP_POST, true, false,
         true, G_MAXINT64},
        {"PUT /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", HTTP_PUT, true, false, false,
         1},
        {"PATCH /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", HTTP_PATCH, true, false, false, 1},
        {"DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_DELETE, false, false, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        HttpRequest request;

        if (http_request_parse(table[i].input, strlen(table[i].input), &request) != HTTP_COMPLETE ||
            request.method != table[i].method || request.has_body != table[i].has_body ||
            request.is_chunked != table[i].is_chunked || request.has_expect != table[i].has_expect ||
            request.length != table[i].length)
            fail_msg("row %zu: %s", i, table[i].input);
    }
}

static void
refuses_a_nul_anywhere(void **state)
{
    static const char text[] = "GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        HttpRequest request;
        char copy[sizeof text];

        memcpy(copy, text, sizeof text);
        copy[i] = '\0';
        if (http_request_parse(copy, sizeof text - 1, &request) != HTTP_REFUSED)
            fail_msg("a NUL at %zu was not refused", i);
        assert_int_equal(request.refusal, 400);
    }
}

static void
waits_for_the_end_of_a_head(void **state)
{
    static const char text[] = GET("Range: bytes=0-1\r\n");

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        HttpRequest request;

        assert_int_equal(http_request_parse(text, i, &request), HTTP_PARTIAL);
    }
}

static void
reads_one_of_several_pipelined_requests(void **state)
{
    static const char text[] = GET("") "HEAD /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c";
    size_t first = strlen(GET(""));
    HttpRequest request;

    (void)state;
    assert_int_equal(http_request_parse(text, sizeof text - 1, &request), HTTP_COMPLETE);
    assert_int_equal(request.size, first);
    assert_int_equal(request.method, HTTP_GET);
    assert_int_equal(http_request_parse(text + first, sizeof text - 1 - first, &request), HTTP_COMPLETE);
    assert_int_equal(request.method, HTTP_HEAD);
    assert_string_equal(request.path, "b");
    first += request.size;
    assert_int_equal(http_request_parse(text + first, sizeof text - 1 - first, &request), HTTP_PARTIAL);
}

static void
knows_when_the_client_wants_to_close(void **state)
{
    static const struct {
        const char *input;
        bool should_close;
    } table[] = {
        {GET(""), false},
        {GET("Connection: keep-alive\r\n"), false},
        {GET("Connection: close\r\n"), true},
        {GET("connection: CLOSE, foo\r\n"), true},
        {GET("Connection: foo ,\tclose\r\n"), true},
        {GET("Connection: foo\r\nConnection: close\r\nConnection: bar\r\n"), true},
        {GET("Connection: closed\r\n"), false},
        {"GET /a HTTP/1.0\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        HttpRequest request;

        assert_int_equal(http_request_parse(table[i].input, strlen(table[i].input), &request), HTTP_COMPLETE);
        assert_int_equal(request.should_close, table[i].should_close);
    }
}

static void
hands_out_conditional_fields_and_empties_repeated_ones(void **state)
{
    static const char once[] =
        GET("RANGE:  bytes=0-1 \r\nIf-Range: \"a\"\r\nIf-None-Match: *\r\nIf-Modified-Since: x\r\n");
    static const char twice[] =
        GET("Range: bytes=0-1\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\nIf-None-Match: *\r\n");
    HttpRequest request;

    (void)state;
    assert_int_equal(http_request_parse(once, sizeof once - 1, &request), HTTP_COMPLETE);
    assert_true(http_text_is(request.range, "bytes=0-1"));
    assert_true(http_text_is(request.if_range, "\"a\""));
    assert_true(http_text_is(request.if_none_match, "*"));
    assert_true(http_text_is(request.if_modified_since, "x"));
    assert_int_equal(http_request_parse(twice, sizeof twice - 1, &request), HTTP_COMPLETE);
    assert_non_null(request.range.at);
    assert_int_equal(request.range.length, 0);
    assert_non_null(request.if_none_match.at);
    assert_int_equal(request.if_none_match.length, 0);
    assert_null(request.if_range.at);
}

/* "GET /aaa… HTTP/1.1" and fields up to @fields, then, if asked, the end of the head. */
static GString *
long_request(size_t path, unsigned fields, size_t value, bool is_complete)
{
    GString *text = g_string_new("GET /");

    for (size_t i = 0; i < path; i++)
        g_string_append_c(text, 'a');
    g_string_append(text, " HTTP/1.1\r\nHost: h\r\n");
    for (unsigned i = 1; i < fields; i++) {
        g_string_append(text, "X: ");
        for (size_t j = 0; j < value; j++)
            g_string_append_c(text, 'v');
        g_string_append(text, "\r\n");
    }
    return g_string_append(text, is_complete ? "\r\n" : "");
}

static void
keeps_its_limits(void **state)
{
    static const struct {
        size_t path;
        unsigned fields;
        size_t value;
        bool is_complete;
        int status;
    } table[] = {
        {1, HTTP_MAX_FIELDS, 1, true, 0},  {1, HTTP_MAX_FIELDS + 1, 1, true, 431},
        {HTTP_MAX_PATH, 1, 1, true, 0},    {HTTP_MAX_PATH + 1, 1, 1, true, 414},
        {HTTP_MAX_HEAD, 1, 1, true, 414},  {1, 2, HTTP_MAX_HEAD, true, 431},
        {1, 2, HTTP_MAX_HEAD, false, 431}, {1, 40, 500, true, 431},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GString) text =
            long_request(table[i].path, table[i].fields, table[i].value, table[i].is_complete);
        HttpRequest request;

        http_request_parse(text->str, text->len, &request);
        if (request.refusal != table[i].status)
            fail_msg("row %zu: status %d, expected %d", i, request.refusal, table[i].status);
    }
}

static void
never_waits_with_a_full_buffer(void **state)
{
    g_autofree char *junk = g_malloc(HTTP_MAX_HEAD);
    HttpRequest request;

    (void)state;
    memset(junk, 'a', HTTP_MAX_HEAD);
    assert_int_equal(http_request_parse(junk, HTTP_MAX_HEAD - 1, &request), HTTP_PARTIAL);
    assert_int_equal(http_request_parse(junk, HTTP_MAX_HEAD, &request), HTTP_REFUSED);
    assert_int_equal(request.refusal, 414);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_each_row_of_the_smuggling_table),
        cmocka_unit_test(describes_the_body_that_follows),
        cmocka_unit_test(refuses_a_nul_anywhere),
        cmocka_unit_test(waits_for_the_end_of_a_head),
        cmocka_unit_test(reads_one_of_several_pipelined_requests),
        cmocka_unit_test(knows_when_the_client_wants_to_close),
        cmocka_unit_test(hands_out_conditional_fields_and_empties_repeated_ones),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(never_waits_with_a_full_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
