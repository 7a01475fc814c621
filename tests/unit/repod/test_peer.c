// SPDX-License-Identifier: Apache-2.0
/* Addresses as text, and sockets that share one. */
#include "repod/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

static void
reads_numeric_addresses_and_prints_them_again(void **state)
{
    static const char *const good[] = {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:65535", "[::]:80"};
    static const char *const bad[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1: 1",
        "127.0.0.1:8x",
        "localhost:1",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[]:80",
        ":80",
        "[127.0.0.1]:80",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        char text[PEER_TEXT_MAX];
        Peer peer;

        assert_true(peer_parse(good[i], &peer, NULL));
        peer_print(&peer, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        Peer peer;

        if (peer_parse(bad[i], &peer, &error))
            fail_msg("'%s' was taken", bad[i]);
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

static void
makes_a_mapped_address_ipv4_and_no_other_one(void **state)
{
    static const struct {
        const char *given, *expected;
        bool is_local;
    } rows[] = {
        {"[::ffff:192.0.2.1]:80", "192.0.2.1:80", false},
        {"[::ffff:127.0.0.1]:1", "127.0.0.1:1", true},
        {"[::1]:80", "[::1]:80", true},
        {"[2001:db8::ffff:c000:201]:80", "[2001:db8::ffff:c000:201]:80", false},
        {"192.0.2.1:80", "192.0.2.1:80", false},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        char text[PEER_TEXT_MAX];
        Peer peer;

        assert_true(peer_parse(rows[i].given, &peer, NULL));
        peer_unmap(&peer);
        peer_print(&peer, text);
        assert_string_equal(text, rows[i].expected);
        assert_int_equal(peer_is_local(&peer), rows[i].is_local);
    }
}

static void
shares_an_address_within_the_server_but_with_no_other_one(void **state)
{
    g_autoptr(GError) error = NULL;
    Peer peer;
    g_auto(Fd) first = -1;
    g_auto(Fd) second = -1;

    (void)state;
    assert_true(peer_parse("127.0.0.1:0", &peer, NULL));
    first = peer_bind(&peer, true, NULL);
    assert_true(first >= 0);
    assert_int_not_equal(peer_port(&peer), 0);
    assert_int_equal(listen(first, 1), 0);
    second = peer_bind(&peer, false, NULL);
    assert_true(second >= 0);
    assert_int_equal(listen(second, 1), 0);
    assert_int_equal(peer_bind(&peer, true, &error), -1);
    assert_non_null(error);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numeric_addresses_and_prints_them_again),
        cmocka_unit_test(makes_a_mapped_address_ipv4_and_no_other_one),
        cmocka_unit_test(shares_an_address_within_the_server_but_with_no_other_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
