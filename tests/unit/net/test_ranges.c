// SPDX-License-Identifier: Apache-2.0
/* Which answers to range requests count, and what becomes of who gives others, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fd.h"
#include "net/net.h"
#include "player.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE 10u
#define PART(range) HEAD("206 Partial Content", "Content-Range: bytes " range "\r\n")
#define TAGGED(range, tag) HEAD("206 Partial Content", "Content-Range: bytes " range "\r\nETag: " tag "\r\n")
#define GOOD "0123456789"

static const NetLimits QUICK = {.connect_seconds = 5, .stall_seconds = 5, .retry_ms = 0, .max_failures = 2};
static const uint32_t PIECES[] = {4, 4, 2}; /* sizes, without gaps */

static void
want_all(NetRanges *ranges)
{
    uint64_t offset = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(PIECES); offset += PIECES[i++])
        net_ranges_want(ranges, 0, i, offset, PIECES[i]);
}

/* All pieces into @content; those that are not as GOOD are rejected. */
static bool
fetch(NetRanges *ranges, char *content, GError **error)
{
    unsigned done = 0;

    want_all(ranges);
    while (done < G_N_ELEMENTS(PIECES)) {
        NetPiece piece;

        if (!net_ranges_wait(ranges, &piece, error))
            return false;
        assert_non_null(piece.data);
        assert_int_equal(piece.size, PIECES[piece.number]);
        if (memcmp(piece.data, &GOOD[piece.offset], piece.size) != 0) {
            net_ranges_reject(ranges, &piece);
            continue;
        }
        memcpy(content + piece.offset, piece.data, piece.size);
        g_free(piece.data);
        done++;
    }
    return true;
}

static void
only_the_range_that_was_asked_for_counts(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *answers[6]; /* the requests: one connection */
        bool is_ok, is_whole_only;
        BaseError code;
        const char *message;
    } CASES[] = {
        {{PART("0-9/10") GOOD}, true, false, 0, NULL},
        /* A connection that breaks is asked for the rest of the piece at hand, pieces that are complete stay. */
        {{PART("0-9/10") "01234", PART("5-9/10") "56", PART("7-9/10") "789"}, true, false, 0, NULL},
        {{PART("0-9/10") "01234", PART("4-9/10") "456789", PART("4-9/10") "456789"}, true, false, 0, NULL},
        {{HEAD("503 Busy", ""), HEAD("429 Slow", ""), PART("0-9/10") GOOD}, true, false, 0, NULL},
        {{"", PART("0-9/10") GOOD}, true, false, 0, NULL},
        {{HEAD("503 Busy", ""), HEAD("503 Busy", ""), HEAD("503 Busy", "")},
         false,
         false,
         BASE_ERROR_UNAVAILABLE,
         "HTTP status 503"},
        /* Lies, each told once: then it is asked again. */
        {{PART("0-8/10") "012345678", PART("0-9/10") GOOD}, true, false, 0, NULL},
        {{PART("1-9/10") "123456789", PART("0-9/10") GOOD}, true, false, 0, NULL},
        {{PART("0-9/10") GOOD "x", PART("0-9/10") GOOD}, true, false, 0, NULL},
        {{HEAD("206 Partial Content", "") GOOD, PART("0-9/10") GOOD}, true, false, 0, NULL},
        {{HEAD("206 Partial Content", "Content-Range: bytes 0-9/*\r\n") GOOD, PART("0-9/10") GOOD},
         true,
         false,
         0,
         NULL},
        {{HEAD("206 Partial Content", "Content-Range: bytes 0-9/10\r\nContent-Encoding: gzip\r\n") GOOD,
          PART("0-9/10") GOOD},
         true,
         false,
         0,
         NULL},
        {{PART("0-9/10") "01x3456789", PART("0-3/10") "0123"}, true, false, 0, NULL},
        /* ... and twice. */
        {{PART("0-8/10") "012345678", PART("1-9/10") "123456789"},
         false,
         false,
         BASE_ERROR_FAILED,
         "another range than was asked for"},
        {{PART("0-9/10") "01x3456789", PART("0-3/10") "012x"},
         false,
         false,
         BASE_ERROR_UNTRUSTED,
         "do not have the digest"},
        {{PART("0-9/10") "01x34x6789"}, false, false, BASE_ERROR_UNTRUSTED, "do not have the digest"},
        /* Another file. */
        {{PART("0-9/11") GOOD}, false, false, BASE_ERROR_UNTRUSTED, "has 11 bytes"},
        {{HEAD("200 OK", "Content-Length: 5\r\n") "error"},
         false,
         false,
         BASE_ERROR_UNTRUSTED,
         "has 5 bytes"},
        {{TAGGED("0-9/10", "\"a\"") "01234", HEAD("200 OK", "Content-Length: 10\r\n") GOOD,
          TAGGED("4-9/10", "\"b\"") "456789"},
         true,
         false,
         0,
         NULL},
        {{TAGGED("0-9/10", "\"a\"") "01234", TAGGED("5-9/10", "\"b\"") "56789",
          TAGGED("4-9/10", "\"b\"") "456789"},
         true,
         false,
         0,
         NULL},
        {{TAGGED("0-9/10", "\"a\"") "01234", TAGGED("5-9/10", "\"b\"") "xxxxx",
          TAGGED("4-9/10", "\"b\"") "xxxxxx"},
         false,
         false,
         BASE_ERROR_UNTRUSTED,
         "do not have the digest"},
        /* No ranges at all. */
        {{HEAD("200 OK", "Content-Length: 10\r\n") GOOD}, false, true, BASE_ERROR_FAILED, "range requests"},
        {{HEAD("200 OK", "") GOOD}, false, true, BASE_ERROR_FAILED, "range requests"},
        /* What will not change by asking again. */
        {{HEAD("416 No", "")}, false, false, BASE_ERROR_FAILED, "HTTP status 416"},
        {{HEAD("404 No", "")}, false, false, BASE_ERROR_NOT_FOUND, "HTTP status 404"},
        {{HEAD("403 No", "")}, false, false, BASE_ERROR_FAILED, "HTTP status 403"},
        {{HEAD("204 No Content", "")}, false, false, BASE_ERROR_FAILED, "status 204"},
        {{HEAD("302 Found", "Location: file:///etc/passwd\r\n")},
         false,
         false,
         BASE_ERROR_FAILED,
         "protocol that is not allowed"},
        {{"rubbish\r\n\r\n"}, false, false, BASE_ERROR_FAILED, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        Player player;
        char content[FILE_SIZE + 1] = "";
        g_autoptr(GError) error = NULL;
        g_autoptr(NetRanges) ranges = NULL;
        bool is_ok;

        player_start(&player, CASES[i].answers);
        ranges = net_ranges_new((const char *const[]){player.url, NULL}, FILE_SIZE, 1, &QUICK, NULL);
        is_ok = fetch(ranges, content, &error);
        if (is_ok != CASES[i].is_ok || (is_ok && strcmp(content, GOOD) != 0) ||
            net_ranges_is_whole_only(ranges) != CASES[i].is_whole_only ||
            (!is_ok && (!g_error_matches(error, BASE_ERROR, (gint)CASES[i].code) ||
                        (CASES[i].message != NULL && strstr(error->message, CASES[i].message) == NULL))))
            fail_msg("case %zu: '%s': %s", i, content, error == NULL ? "accepted" : error->message);
        player_stop(&player);
    }
}

static void
another_mirror_helps_and_the_bad_one_is_named(void **state G_GNUC_UNUSED)
{
    static const char *const BAD[][3] = {
        {HEAD("404 No", ""), NULL},
        {HEAD("200 OK", "Content-Length: 10\r\n") GOOD, NULL},
        {PART("0-9/11") GOOD, NULL},
        {PART("0-9/10") "xxxxxxxxxx", NULL},
        {HEAD("302 Found", "Location: ftp://127.0.0.1/\r\n"), NULL},
    };
    static const char *const RIGHT[] = {PART("0-9/10") GOOD, PART("0-3/10") "0123", PART("4-9/10") "456789",
                                        PART("8-9/10") "89", NULL};

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        Player bad, right;
        char content[FILE_SIZE + 1] = "";
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        g_autoptr(NetRanges) ranges = NULL;

        player_start(&bad, BAD[i]);
        player_start(&right, i == 3 ? (const char *const[]){PART("0-9/10") GOOD, NULL} : RIGHT);
        ranges =
            net_ranges_new((const char *const[]){bad.url, right.url, NULL}, FILE_SIZE, 1, &QUICK, warnings);
        if (!fetch(ranges, content, &error))
            fail_msg("case %zu: %s", i, error->message);
        assert_string_equal(content, GOOD);
        assert_true(warnings->len > 0);
        assert_true(g_str_has_prefix(g_ptr_array_index(warnings, 0), bad.url));
        player_stop(&bad);
        player_stop(&right);
    }
}

static void
files_of_this_host_are_read(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = g_strdup("/tmp/vd-ranges-XXXXXX");
    g_auto(Fd) fd = mkstemp(path);
    g_autofree char *url = g_strconcat("file://", path, NULL);
    char content[FILE_SIZE + 1] = "";
    g_autoptr(GError) error = NULL;

    assert_true(fd_write_all(fd, GOOD, FILE_SIZE, path, NULL));
    {
        g_autoptr(NetRanges) ranges =
            net_ranges_new((const char *const[]){"/nowhere/at/all", url, NULL}, FILE_SIZE, 4, &QUICK, NULL);

        assert_true(fetch(ranges, content, &error));
        assert_string_equal(content, GOOD);
    }
    assert_true(fd_write_all(fd, "x", 1, path, NULL));
    {
        g_autoptr(NetRanges) ranges =
            net_ranges_new((const char *const[]){path, NULL}, FILE_SIZE, 4, &QUICK, NULL);

        assert_false(fetch(ranges, content, &error));
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED));
    }
    unlink(path);
}

static void
a_second_file_shares_nothing_but_the_connections(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = g_strdup("/tmp/vd-ranges-XXXXXX"), *other = g_strdup("/tmp/vd-ranges-XXXXXX");
    g_auto(Fd) fd = mkstemp(path), other_fd = mkstemp(other);
    g_autoptr(NetRanges) ranges =
        net_ranges_new((const char *const[]){path, NULL}, FILE_SIZE, 4, &QUICK, NULL);
    const unsigned second = net_ranges_add(ranges, (const char *const[]){"/nowhere/at/all", other, NULL}, 4);
    g_autoptr(GError) error = NULL;
    NetPiece piece;

    assert_true(fd_write_all(fd, GOOD, FILE_SIZE, path, NULL) &&
                fd_write_all(other_fd, "abcd", 4, other, NULL));
    net_ranges_want(ranges, 0, 0, 0, 4);
    net_ranges_want(ranges, second, 1, 0, 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(net_ranges_wait(ranges, &piece, &error));
        assert_int_equal(piece.file, piece.number);
        assert_memory_equal(piece.data, piece.file == 0 ? GOOD : "abcd", 4);
        g_free(piece.data);
    }
    assert_true(
        fd_write_all(other_fd, "e", 1, other, NULL)); /* opened before, so its size is not looked at again */
    net_ranges_want(ranges, second, 2, 0, 4);
    assert_true(net_ranges_wait(ranges, &piece, &error));
    for (unsigned i = 0; i < 2; i++) { /* twice wrong is too often */
        assert_false(net_ranges_is_lost(ranges, second));
        net_ranges_reject(ranges, &piece);
        assert_true(i == 1 || net_ranges_wait(ranges, &piece, &error));
    }
    assert_true(net_ranges_is_lost(ranges, second) && !net_ranges_is_lost(ranges, 0));
    assert_false(net_ranges_wait(ranges, &piece, &error));
    assert_non_null(strstr(error->message, "/nowhere/at/all"));
    unlink(path);
    unlink(other);
}

static void *
wake(void *ranges)
{
    net_ranges_wake(ranges);
    return NULL;
}

static void
whoever_waits_can_be_woken(void **state G_GNUC_UNUSED)
{
    g_autoptr(NetRanges) ranges =
        net_ranges_new((const char *const[]){"/x", NULL}, FILE_SIZE, 4, &QUICK, NULL);
    NetPiece piece = {.data = (uint8_t *)""};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wake, ranges), 0);
    assert_true(net_ranges_wait(ranges, &piece, NULL));
    assert_null(piece.data);
    pthread_join(thread, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_range_that_was_asked_for_counts),
        cmocka_unit_test(another_mirror_helps_and_the_bad_one_is_named),
        cmocka_unit_test(files_of_this_host_are_read),
        cmocka_unit_test(a_second_file_shares_nothing_but_the_connections),
        cmocka_unit_test(whoever_waits_can_be_woken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
