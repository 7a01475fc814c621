// SPDX-License-Identifier: Apache-2.0
/* Waits grow with each wrong credential, and a table full of attackers forgets the oldest. */
#include "repod/backoff.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)

static Peer
peer_at(uint32_t address)
{
    Peer peer = {0};

    peer.v4.sin_family = AF_INET;
    peer.v4.sin_addr.s_addr = htonl(address);
    return peer;
}

static void
waits_double_up_to_a_minute(void **state G_GNUC_UNUSED)
{
    static const unsigned EXPECTED[] = {0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60};
    g_autofree Backoff *backoff = g_new0(Backoff, 1);
    const Peer peer = peer_at(1), other = peer_at(2);
    int64_t now = SECOND;

    for (size_t i = 0; i < G_N_ELEMENTS(EXPECTED); i++) {
        backoff_fail(backoff, &peer, now);
        assert_int_equal(backoff_seconds(backoff, &peer, now), EXPECTED[i]);
        assert_int_equal(backoff_seconds(backoff, &other, now), 0);
        now += EXPECTED[i] * SECOND;
        assert_int_equal(backoff_seconds(backoff, &peer, now), 0);
    }
    backoff_forget(backoff, &peer);
    backoff_fail(backoff, &peer, now);
    assert_int_equal(backoff_seconds(backoff, &peer, now), 0);
}

static void
failures_of_long_ago_do_not_count(void **state G_GNUC_UNUSED)
{
    g_autofree Backoff *backoff = g_new0(Backoff, 1);
    const Peer peer = peer_at(1);

    for (int i = 0; i < 8; i++)
        backoff_fail(backoff, &peer, SECOND);
    backoff_fail(backoff, &peer, 3600 * SECOND);
    assert_int_equal(backoff_seconds(backoff, &peer, 3600 * SECOND), 0);
}

static void
all_of_an_ipv6_network_is_one_client(void **state G_GNUC_UNUSED)
{
    g_autofree Backoff *backoff = g_new0(Backoff, 1);
    Peer peer = {0};

    peer.v6.sin6_family = AF_INET6;
    for (int i = 0; i < 5; i++) {
        peer.v6.sin6_addr.s6_addr[15] = (uint8_t)i;
        backoff_fail(backoff, &peer, SECOND);
    }
    assert_int_equal(backoff_seconds(backoff, &peer, SECOND), 2);
    peer.v6.sin6_addr.s6_addr[7] = 1;
    assert_int_equal(backoff_seconds(backoff, &peer, SECOND), 0);
}

static void
a_flood_pushes_out_the_oldest_alone(void **state G_GNUC_UNUSED)
{
    g_autofree Backoff *backoff = g_new0(Backoff, 1);
    const uint32_t many = 10 * BACKOFF_ENTRIES;
    Peer last = peer_at(many);

    for (uint32_t i = 1; i <= many; i++) {
        const Peer peer = peer_at(i);

        for (int n = 0; n < 4; n++)
            backoff_fail(backoff, &peer, SECOND + i);
    }
    assert_int_equal(backoff_seconds(backoff, &last, SECOND + many), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_a_minute),
        cmocka_unit_test(failures_of_long_ago_do_not_count),
        cmocka_unit_test(all_of_an_ipv6_network_is_one_client),
        cmocka_unit_test(a_flood_pushes_out_the_oldest_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
