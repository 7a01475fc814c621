// SPDX-License-Identifier: Apache-2.0
/* URLs and Content-Range values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/private.h"

static void
test_a_relative_path_is_joined_below_the_folder_of_the_base(void **state G_GNUC_UNUSED)
{
    static const char *const CASES[][3] = {
        {"http://h/r/index.asc", "a.xz", "http://h/r/a.xz"},
        {"http://h/index.asc", "blobs/sha512/ab/c", "http://h/blobs/sha512/ab/c"},
        {"http://h/r/index.asc?a=/x", "a", "http://h/r/a"}, /* virt-builder takes the '/' of the query */
        {"http://h/r/index.asc", "a b\xc3\xa9", "http://h/r/a%20b%C3%A9"},
        {"http://h/r/index.asc", "a%20b", "http://h/r/a%20b"},
        {"file:///srv/r/index.asc", "a%b?#", "file:///srv/r/a%25b%3F%23"},
        {"/srv/r/index.asc", "a b%?", "/srv/r/a b%?"},
        {"/srv/a?/index.asc", "x", "/srv/a?/x"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *url = net_url_join(CASES[i][0], CASES[i][1]);

        assert_string_equal(url, CASES[i][2]);
    }
}

static void
test_a_proxy_is_a_url_without_credentials(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *url;
        bool is_good;
    } CASES[] = {
        {"http://proxy:3128", true}, {"https://proxy/", true}, {"socks5h://127.0.0.1:1080", true},
        {"proxy:3128", false},       {"ftp://proxy/", false},  {"http://u:p@proxy/", false},
        {"http://", false},          {"file:///etc/x", false}, {"", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (net_proxy_check(CASES[i].url, NULL) != CASES[i].is_good)
            fail_msg("%s", CASES[i].url);
}

static void
test_an_origin_is_scheme_host_and_port(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } CASES[] = {
        {"http://h/a", "http://h/b", true},       {"http://h/", "http://h:80/", true},
        {"https://h:443/", "HTTPS://H/", true},   {"http://h/", "https://h/", false},
        {"http://h/", "http://h:8080/", false},   {"http://h/", "http://h.evil/", false},
        {"http://h/", "http://u@h.evil/", false}, {"/srv/x", "/srv/x", false},
        {"file:///x", "file:///x", false},        {"http://h\\@evil/", "http://h/", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (net_url_is_same_origin(CASES[i].a, CASES[i].b) != CASES[i].is_same)
            fail_msg("%s %s", CASES[i].a, CASES[i].b);
}

static void
test_only_urls_that_can_be_fetched_pass(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *url;
        bool is_good;
    } CASES[] = {
        {"http://h/", true},
        {"HTTPS://h:8/x", true},
        {"file:///x", true},
        {"/x", true},
        {"http://[::1]:8/", true},
        {"ftp://h/", false},
        {"file://h/x", false},
        {"x", false},
        {"", false},
        {"http://", false},
        {"http:///x", false},
        {"http://u:p@h/", false},
        {"http://h/ x", false},
        {"http://h/\x1b[2J", false},
        {"http://u@h/", false},
        {"gopher://h/", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = NULL;

        if (net_url_check(CASES[i].url, &error) != CASES[i].is_good)
            fail_msg("%s", CASES[i].url);
        assert_true(CASES[i].is_good || g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

static void
test_local_paths_are_recognised(void **state G_GNUC_UNUSED)
{
    static const char *const CASES[][2] = {
        {"/a/b", "/a/b"},        {"file:///a%20b", "/a b"}, {"FILE:///x", "/x"},
        {"file://host/x", NULL}, {"http://h/", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *path = net_local_path(CASES[i][0]);

        assert_true(g_strcmp0(path, CASES[i][1]) == 0);
    }
}

static void
test_a_content_range_must_be_complete_and_consistent(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *value;
        bool is_good;
    } CASES[] = {
        {"bytes 5-9/10", true},
        {"Bytes 0-0/1", true},
        {"bytes 5-9/*", false},
        {"bytes */10", false},
        {"bytes 9-5/10", false},
        {"bytes 5-10/10", false},
        {"bytes 5-9/10 ", false},
        {"bytes 5-9", false},
        {"bytes=5-9/10", false},
        {"items 5-9/10", false},
        {"", false},
        {"bytes -9/10", false},
        {"bytes +5-9/10", false},
        {"bytes 0x5-9/10", false},
        {"bytes 5-9/10,1", false},
        {"bytes 5-9/99999999999999999999", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        uint64_t first = 0, last = 0, total = 0;

        if (net_parse_content_range(CASES[i].value, &first, &last, &total) != CASES[i].is_good)
            fail_msg("%s", CASES[i].value);
        assert_true(!CASES[i].is_good || (first <= last && last < total));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_proxy_is_a_url_without_credentials),
        cmocka_unit_test(test_an_origin_is_scheme_host_and_port),
        cmocka_unit_test(test_a_relative_path_is_joined_below_the_folder_of_the_base),
        cmocka_unit_test(test_only_urls_that_can_be_fetched_pass),
        cmocka_unit_test(test_local_paths_are_recognised),
        cmocka_unit_test(test_a_content_range_must_be_complete_and_consistent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
