// SPDX-License-Identifier: Apache-2.0
/* What is taken from a server and what is not, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fd.h"
#include "net/net.h"
#include "player.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static const NetLimits QUICK = {.connect_seconds = 5, .stall_seconds = 5, .retry_ms = 0, .max_failures = 2};

static bool
has_text(GBytes *body, const char *text)
{
    g_autoptr(GBytes) expected = g_bytes_new(text, strlen(text));

    return g_bytes_equal(body, expected);
}

static void
test_a_small_file_is_taken_or_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *answers[5];
        const char *body; /* NULL: refused */
        BaseError code;
        const char *etag;
    } CASES[] = {
        {{HEAD("200 OK", "Content-Length: 5\r\nETag: \"a\"\r\n") "hello"}, "hello", 0, "\"a\""},
        {{HEAD("200 OK", "ETag: W/\"a\"\r\n") "hello"}, "hello", 0, NULL},
        {{HEAD("200 OK", "Content-Length: 0\r\n")}, "", 0, NULL},
        {{HEAD("200 OK", "Content-Encoding: identity\r\n") "x"}, "x", 0, NULL},
        {{HEAD("200 OK", "Content-Encoding: gzip\r\n") "x"}, NULL, BASE_ERROR_FAILED, NULL},
        {{HEAD("200 OK", "Content-Length: 11\r\n") "hello world"},
         NULL,
         BASE_ERROR_FAILED,
         NULL}, /* the cap is 10 */
        {{HEAD("200 OK", "") "hello world"}, NULL, BASE_ERROR_FAILED, NULL},
        {{HEAD("206 Partial Content", "Content-Range: bytes 0-4/5\r\n") "hello"},
         NULL,
         BASE_ERROR_FAILED,
         NULL},
        {{HEAD("204 No Content", "")}, NULL, BASE_ERROR_FAILED, NULL},
        {{HEAD("304 Not Modified", "")}, NULL, BASE_ERROR_FAILED, NULL}, /* nobody asked whether */
        {{HEAD("404 Not Found", "Content-Length: 4\r\n") "page"}, NULL, BASE_ERROR_NOT_FOUND, NULL},
        {{HEAD("410 Gone", "")}, NULL, BASE_ERROR_NOT_FOUND, NULL},
        {{HEAD("403 Forbidden", "")}, NULL, BASE_ERROR_FAILED, NULL},
        {{HEAD("503 Busy", ""), HEAD("429 Slow", ""), HEAD("200 OK", "") "ok"}, "ok", 0, NULL},
        {{HEAD("503 Busy", ""), HEAD("503 Busy", ""), HEAD("503 Busy", "")},
         NULL,
         BASE_ERROR_UNAVAILABLE,
         NULL},
        {{HEAD("200 OK", "Content-Length: 5\r\n") "hel",
          HEAD("206 Partial Content", "Content-Range: bytes 3-4/5\r\n") "lo"},
         "hello",
         0,
         NULL},
        {{HEAD("200 OK", "Content-Length: 5\r\n") "hel", HEAD("200 OK", "Content-Length: 5\r\n") "HELLO"},
         "HELLO",
         0,
         NULL},
        {{HEAD("200 OK", "Content-Length: 5\r\n") "hel",
          HEAD("206 Partial Content", "Content-Range: bytes 0-4/5\r\n") "hello",
          HEAD("200 OK", "Content-Length: 5\r\n") "HELLO"},
         "HELLO",
         0,
         NULL},
        {{HEAD("302 Found", "Location: ftp://127.0.0.1/x\r\n")}, NULL, BASE_ERROR_FAILED, NULL},
        {{HEAD("302 Found", "Location: file:///etc/passwd\r\n")}, NULL, BASE_ERROR_FAILED, NULL},
        {{"rubbish\r\n\r\n"}, NULL, BASE_ERROR_FAILED, NULL},
        {{""}, NULL, BASE_ERROR_UNAVAILABLE, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        Player player;
        g_auto(NetReply) reply = {0};
        g_autoptr(GError) error = NULL;
        bool is_ok;

        player_start(&player, CASES[i].answers);
        is_ok = net_get(player.url, 10, NULL, &QUICK, &reply, &error);
        if (is_ok != (CASES[i].body != NULL) ||
            (is_ok && (g_strcmp0(reply.etag, CASES[i].etag) != 0 || !has_text(reply.body, CASES[i].body))) ||
            (!is_ok && (!g_error_matches(error, BASE_ERROR, (gint)CASES[i].code) ||
                        !g_str_has_prefix(error->message, player.url))))
            fail_msg("case %zu: %s", i, error == NULL ? "accepted" : error->message);
        player_stop(&player);
    }
}

static void
test_what_has_not_changed_is_not_sent_again(void **state G_GNUC_UNUSED)
{
    static const char *const ANSWERS[] = {HEAD("304 Not Modified", ""), NULL};
    Player player;
    g_auto(NetReply) reply = {0};

    player_start(&player, ANSWERS);
    assert_true(net_get(player.url, 10, "\"tag\"", &QUICK, &reply, NULL));
    assert_null(reply.body);
    assert_string_equal(reply.etag, "\"tag\"");
    player_stop(&player);
}

static void
test_a_download_has_the_stated_size_or_is_not_trusted(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *answers[4];
        uint64_t offset, size;
        const char *content; /* NULL: refused */
        BaseError code;
    } CASES[] = {
        {{HEAD("200 OK", "Content-Length: 5\r\n") "hello"}, 0, 5, "hello", 0},
        {{HEAD("200 OK", "") "hello"}, 0, 5, "hello", 0},
        {{HEAD("200 OK", "") "hel", HEAD("206 Partial Content", "Content-Range: bytes 3-4/5\r\n") "lo"},
         0,
         5,
         "hello",
         0},
        {{HEAD("206 Partial Content", "Content-Range: bytes 2-4/5\r\n") "llo"}, 2, 5, "??llo", 0},
        {{HEAD("416 Range", ""), HEAD("200 OK", "") "hello"}, 2, 5, "hello", 0},
        {{NULL}, 5, 5, "?????", 0}, /* complete: nobody is asked */
        {{HEAD("200 OK", "Content-Length: 6\r\n") "hello!"}, 0, 5, NULL, BASE_ERROR_UNTRUSTED},
        {{HEAD("200 OK", "Content-Length: 4\r\n") "hell"}, 0, 5, NULL, BASE_ERROR_UNTRUSTED},
        {{HEAD("200 OK", "") "hello!"}, 0, 5, NULL, BASE_ERROR_UNTRUSTED},
        {{HEAD("206 Partial Content", "Content-Range: bytes 2-5/6\r\n") "llo!"},
         2,
         5,
         NULL,
         BASE_ERROR_UNTRUSTED},
        {{HEAD("200 OK", "") "hello world"}, 0, 0, NULL, BASE_ERROR_UNTRUSTED}, /* above the cap of 10 */
        {{HEAD("200 OK", "") "hello"}, 0, 0, "hello", 0},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_auto(Fd) fd = memfd_create("download", MFD_CLOEXEC);
        g_autoptr(GError) error = NULL;
        char content[16] = "";
        Player player;
        bool is_ok;

        player_start(&player, CASES[i].answers);
        assert_true(fd_pwrite_all(fd, "??????????", CASES[i].offset, 0, "test", NULL));
        is_ok = net_download(&(NetDownload){.url = player.url,
                                            .fd = fd,
                                            .offset = CASES[i].offset,
                                            .size = CASES[i].size,
                                            .max_size = 10},
                             &QUICK, &error);
        assert_true(fd_pread(fd, content, sizeof(content) - 1, 0, "test", NULL) >= 0);
        if (is_ok != (CASES[i].content != NULL) || (is_ok && strcmp(content, CASES[i].content) != 0) ||
            (!is_ok && !g_error_matches(error, BASE_ERROR, (gint)CASES[i].code)))
            fail_msg("case %zu: '%s': %s", i, content, error == NULL ? "accepted" : error->message);
        player_stop(&player);
    }
}

static void
test_a_server_that_is_not_there_is_unavailable(void **state G_GNUC_UNUSED)
{
    g_auto(NetReply) reply = {0};
    g_autoptr(GError) error = NULL;

    assert_false(net_get("http://127.0.0.1:1/x", 10, NULL, &QUICK, &reply, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNAVAILABLE));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_file_is_taken_or_refused),
        cmocka_unit_test(test_what_has_not_changed_is_not_sent_again),
        cmocka_unit_test(test_a_download_has_the_stated_size_or_is_not_trusted),
        cmocka_unit_test(test_a_server_that_is_not_there_is_unavailable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
