// SPDX-License-Identifier: Apache-2.0
/* The head of every kind of answer. */
#include "repod/response.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define ETAG "\"2a-a-64.7\""
#define MODIFIED "Thu, 01 Jan 1970 00:01:40 GMT"
#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX HEX32 HEX32 HEX32 HEX32
#define BLOB "blobs/sha512/01/" HEX
#define BLOB_ETAG "\"sha512-" HEX "\""

static const struct stat ten_bytes = {.st_size = 10, .st_ino = 0x2a, .st_mtim = {100, 7}};

/* Parse a request for @path, and answer it at second @now. */
static void
answer(const char *method, const char *path, const char *fields, time_t now, Response *out)
{
    g_autofree char *text = g_strdup_printf("%s /%s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, path, fields);
    HttpRequest request;
    FileFacts facts;

    assert_int_equal(http_request_parse(text, strlen(text), &request), HTTP_COMPLETE);
    response_file_facts(request.path, &ten_bytes, &facts);
    response_file(&request, &facts, now, request.should_close, out);
    out->head[out->head_length] = '\0';
}

static void
prints_the_whole_head_of_a_file(void **state)
{
    Response response;

    (void)state;
    answer("GET", "index", "", 784111777, &response);
    assert_string_equal(response.head, "HTTP/1.1 200 OK\r\n"
                                       "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                       "Server: repod\r\n"
                                       "ETag: " ETAG "\r\n"
                                       "Cache-Control: no-cache\r\n"
                                       "Last-Modified: " MODIFIED "\r\n"
                                       "Accept-Ranges: bytes\r\n"
                                       "Content-Type: text/plain; charset=utf-8\r\n"
                                       "X-Content-Type-Options: nosniff\r\n"
                                       "Content-Length: 10\r\n\r\n");
    assert_int_equal(response.length, 10);
}

static void
gives_a_head_request_the_same_head_and_no_body(void **state)
{
    Response get, head;

    (void)state;
    answer("GET", BLOB, "", 1000, &get);
    answer("HEAD", BLOB, "Range: bytes=0-1\r\n", 1000, &head); /* ranges exist for GET alone */
    assert_string_equal(get.head, head.head);
    assert_int_equal(head.length, 0);
}

static void
decides_by_conditions_and_ranges(void **state)
{
    static const struct {
        const char *fields;
        int status;
        uint64_t offset, length;
    } rows[] = {
        {"", 200, 0, 10},
        {"If-None-Match: " ETAG "\r\n", 304, 0, 0},
        {"If-None-Match: W/" ETAG "\r\n", 304, 0, 0},
        {"If-None-Match: \"x\" ,\t" ETAG " , \"y\"\r\n", 304, 0, 0},
        {"If-None-Match: *\r\n", 304, 0, 0},
        {"If-None-Match: \"x\"\r\n", 200, 0, 10},
        {"If-None-Match: 2a-a-64.7\r\n", 200, 0, 10},
        {"If-None-Match:\r\n", 200, 0, 10},
        {"If-None-Match: ,,\r\n", 200, 0, 10},
        {"If-None-Match: W/\r\n", 200, 0, 10},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " MODIFIED "\r\n", 200, 0, 10},
        {"If-None-Match: \"x\"\r\nIf-None-Match: " ETAG "\r\n", 200, 0, 10},
        {"If-Modified-Since: " MODIFIED "\r\n", 304, 0, 0},
        {"If-Modified-Since: Thu, 01 Jan 1970 00:01:41 GMT\r\n", 200, 0, 10},
        {"If-Modified-Since: x\r\n", 200, 0, 10},
        {"Range: bytes=2-5\r\n", 206, 2, 4},
        {"Range: bytes=2-5\r\nIf-Range: " ETAG "\r\n", 206, 2, 4},
        {"Range: bytes=2-5\r\nIf-Range: W/" ETAG "\r\n", 200, 0, 10},
        {"Range: bytes=2-5\r\nIf-Range: \"x\"\r\n", 200, 0, 10},
        {"Range: bytes=2-5\r\nIf-Range: " MODIFIED "\r\n", 200, 0, 10},
        {"Range: bytes=2-5\r\nIf-Range: " ETAG "\r\nIf-Range: " ETAG "\r\n", 200, 0, 10},
        {"If-Range: \"x\"\r\n", 200, 0, 10},
        {"Range: bytes=2-5\r\nRange: bytes=2-5\r\n", 200, 0, 10},
        {"Range: bytes=0-1,4-5\r\n", 200, 0, 10},
        {"Range: bytes=10-\r\n", 416, 0, 0},
        {"Range: bytes=10-\r\nIf-Range: \"x\"\r\n", 200, 0, 10},
        {"Range: bytes=2-5\r\nIf-None-Match: " ETAG "\r\n", 304, 0, 0},
        {"If-Match: " ETAG "\r\n", 200, 0, 10},
        {"If-Match: \"x\", " ETAG "\r\n", 200, 0, 10},
        {"If-Match: *\r\n", 200, 0, 10},
        {"If-Match: \"x\"\r\n", 412, 0, 0},
        {"If-Match:\r\n", 412, 0, 0},
        {"If-Match: W/" ETAG "\r\n", 412, 0, 0},
        {"If-Match: \"x\"\r\nIf-None-Match: " ETAG "\r\n", 412, 0, 0},
        {"If-Match: " ETAG "\r\nIf-None-Match: " ETAG "\r\n", 304, 0, 0},
        {"If-Match: \"x\"\r\nRange: bytes=2-5\r\n", 412, 0, 0},
        {"If-Match: " ETAG "\r\nRange: bytes=2-5\r\n", 206, 2, 4},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Response response;

        answer("GET", "index", rows[i].fields, 1000, &response);
        if (response.status != rows[i].status || response.offset != rows[i].offset ||
            response.length != rows[i].length)
            fail_msg("%s: status %d, %zu bytes", rows[i].fields, response.status, (size_t)response.length);
    }
}

static void
says_which_part_it_sends(void **state)
{
    Response response;

    (void)state;
    answer("GET", "index", "Range: bytes=-3\r\n", 1000, &response);
    assert_non_null(strstr(response.head, "\r\nContent-Range: bytes 7-9/10\r\n"));
    assert_non_null(strstr(response.head, "\r\nContent-Length: 3\r\n"));
    answer("GET", "index", "Range: bytes=11-\r\n", 1000, &response);
    assert_non_null(strstr(response.head, "\r\nContent-Range: bytes */10\r\n"));
}

static void
sends_no_body_fields_with_304(void **state)
{
    static const ResponseHead page = {
        .status = 304, .content_type = "text/html", .length = 5, .is_head = true};
    Response response;

    (void)state;
    answer("GET", "index", "If-None-Match: *\r\n", 1000, &response);
    assert_null(strstr(response.head, "Content-Length"));
    assert_non_null(strstr(response.head, "\r\nETag: " ETAG "\r\n"));
    assert_true(g_str_has_suffix(response.head, "\r\n\r\n"));
    response_head(&page, 1000, &response);
    response.head[response.head_length] = '\0';
    assert_null(strstr(response.head, "Content-"));
    assert_true(g_str_has_suffix(response.head, "\r\n\r\n"));
}

static void
knows_types_caching_and_tags_by_path(void **state)
{
    static const char text[] = "text/plain; charset=utf-8", bytes[] = "application/octet-stream";
    static const char cached[] = "public, max-age=31536000, immutable";
    static const struct {
        const char *path, *type, *caching, *etag;
    } rows[] = {
        {"index", text, "no-cache", ETAG},
        {"index.asc", text, "no-cache", ETAG},
        {"gen/7/index.asc", text, "no-cache", ETAG},
        {"trust", text, "no-cache", ETAG},
        {"index.sig", "application/pgp-signature", "no-cache", ETAG},
        {"keys.asc", "application/pgp-keys", "no-cache", ETAG},
        {"other", bytes, "no-cache", ETAG},
        {"xblobs/a", bytes, "no-cache", ETAG},
        {"blobs/index.asc", bytes, cached, ETAG},
        {BLOB, bytes, cached, BLOB_ETAG},
        {BLOB "0", bytes, cached, ETAG},
        {"blobs/sha512/012" HEX, bytes, cached, ETAG},
        {"blobs/sha512/01/A" HEX32 HEX32 HEX32 "123456789abcdef0123456789abcdef", bytes, cached, ETAG},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *type = g_strdup_printf("\r\nContent-Type: %s\r\n", rows[i].type);
        g_autofree char *caching = g_strdup_printf("\r\nCache-Control: %s\r\n", rows[i].caching);
        g_autofree char *etag = g_strdup_printf("\r\nETag: %s\r\n", rows[i].etag);
        Response response;

        answer("GET", rows[i].path, "", 1000, &response);
        if (strstr(response.head, type) == NULL || strstr(response.head, caching) == NULL ||
            strstr(response.head, etag) == NULL)
            fail_msg("%s:\n%s", rows[i].path, response.head);
    }
}

static void
keeps_shared_caches_from_what_is_private(void **state)
{
    static const struct {
        const char *path, *caching;
    } rows[] = {{"index", "private, no-cache"}, {BLOB, "private, max-age=31536000, immutable"}};
    static const HttpRequest get = {.method = HTTP_GET};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *caching = g_strdup_printf("\r\nCache-Control: %s\r\n", rows[i].caching);
        Response response;
        FileFacts facts;

        response_file_facts(rows[i].path, &ten_bytes, &facts);
        facts.is_private = true;
        response_file(&get, &facts, 1000, false, &response);
        response.head[response.head_length] = '\0';
        assert_non_null(strstr(response.head, caching));
    }
}

/* As sha512sum | xxd -r -p | base64 prints it. */
static void
sends_the_digest_of_a_whole_blob_with_any_part_of_it(void **state)
{
    static const char digest[] = "\r\nRepr-Digest: sha-512=:ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8B"
                                 "I0VniavN7wEjRWeJq83vASNFZ4mrze8BI0VniavN7w==:\r\n";
    Response response;

    (void)state;
    answer("GET", BLOB, "", 1000, &response);
    assert_non_null(strstr(response.head, digest));
    answer("GET", BLOB, "Range: bytes=0-1\r\n", 1000, &response);
    assert_int_equal(response.status, 206);
    assert_non_null(strstr(response.head, digest));
    answer("GET", "index", "", 1000, &response);
    assert_null(strstr(response.head, "Digest"));
}

static void
gives_no_date_to_a_file_that_can_still_change_within_its_second(void **state)
{
    static const char condition[] = "If-Modified-Since: " MODIFIED "\r\n";
    Response response;

    (void)state;
    answer("GET", "index", condition, 101, &response);
    assert_int_equal(response.status, 200);
    assert_null(strstr(response.head, "Last-Modified"));
    answer("GET", "index", condition, 102, &response);
    assert_int_equal(response.status, 304);
}

static void
prints_every_refusal_it_knows(void **state)
{
    static const int statuses[] = {400, 403, 404, 405, 408, 413, 414, 431, 500, 501, 503, 505};
    static const HttpRequest get = {.method = HTTP_GET}, head = {.method = HTTP_HEAD};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++) {
        Response with, without;
        const char *body;

        response_status(&get, statuses[i], 1000, true, &with);
        response_status(&head, statuses[i], 1000, true, &without);
        with.head[with.head_length] = without.head[without.head_length] = '\0';
        body = strstr(with.head, "\r\n\r\n") + 4;
        assert_int_equal(strlen(without.head), body - with.head);
        assert_memory_equal(without.head, with.head, without.head_length);
        assert_non_null(strstr(with.head, "\r\nConnection: close\r\n"));
        assert_int_equal(strstr(with.head, "\r\nAllow: GET, HEAD\r\n") != NULL, statuses[i] == 405);
        assert_int_equal(g_ascii_strtoull(strstr(with.head, "Content-Length: ") + 16, NULL, 10),
                         strlen(body));
    }
}

static void
fits_the_largest_numbers(void **state)
{
    static const struct stat huge = {
        .st_size = INT64_MAX, .st_ino = UINT64_MAX, .st_mtim = {INT32_MAX, 999999999}};
    HttpRequest request = {.method = HTTP_GET, .range = {"bytes=9223372036854775805-", 26}};
    Response response;
    FileFacts facts;

    (void)state;
    response_file_facts("index", &huge, &facts);
    response_file(&request, &facts, INT64_C(253402300799), true, &response);
    assert_int_equal(response.status, 206);
    assert_int_equal(response.length, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_whole_head_of_a_file),
        cmocka_unit_test(gives_a_head_request_the_same_head_and_no_body),
        cmocka_unit_test(decides_by_conditions_and_ranges),
        cmocka_unit_test(says_which_part_it_sends),
        cmocka_unit_test(sends_no_body_fields_with_304),
        cmocka_unit_test(knows_types_caching_and_tags_by_path),
        cmocka_unit_test(keeps_shared_caches_from_what_is_private),
        cmocka_unit_test(sends_the_digest_of_a_whole_blob_with_any_part_of_it),
        cmocka_unit_test(gives_no_date_to_a_file_that_can_still_change_within_its_second),
        cmocka_unit_test(prints_every_refusal_it_knows),
        cmocka_unit_test(fits_the_largest_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
