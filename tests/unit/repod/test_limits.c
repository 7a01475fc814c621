// SPDX-License-Identifier: Apache-2.0
/* What one client may have and do, with a clock of the test's own. */
#include "repod/limits.h"

#include "base/pool.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND G_USEC_PER_SEC

static Peer
peer(const char *text)
{
    Peer made;

    assert_true(peer_parse(text, &made, NULL));
    return made;
}

static LimitClient *
enter(LimitTable *table, const char *text, unsigned max, int64_t now)
{
    const Peer from = peer(text);
    LimitClient *client;

    return limit_enter(table, &from, max, now, &client) ? client : NULL;
}

static void
a_client_is_an_ipv4_address_or_an_ipv6_network(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *one, *other;
        bool is_same;
    } CASES[] = {
        {"192.0.2.1:1", "192.0.2.1:2", true},
        {"192.0.2.1:1", "192.0.2.2:1", false},
        {"[2001:db8::1]:1", "[2001:db8::ffff:2]:1", true},
        {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
        {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
        {"[::1]:1", "0.0.0.0:1", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        LimitTable *table = limit_table_new();

        assert_non_null(enter(table, CASES[i].one, 1, 0));
        if ((enter(table, CASES[i].other, 1, 0) == NULL) != CASES[i].is_same)
            fail_msg("%s and %s", CASES[i].one, CASES[i].other);
        limit_table_free(table);
    }
}

static void
connections_are_counted_until_they_end(void **state G_GNUC_UNUSED)
{
    LimitTable *table = limit_table_new();
    LimitClient *first = enter(table, "192.0.2.1:1", 2, 0);

    assert_ptr_equal(first, enter(table, "192.0.2.1:2", 2, 0));
    assert_null(enter(table, "192.0.2.1:3", 2, 0));
    limit_leave(table, first, 0);
    assert_ptr_equal(first, enter(table, "192.0.2.1:4", 2, 0));
    limit_table_free(table);
}

static void
requests_come_at_a_rate_after_a_burst(void **state G_GNUC_UNUSED)
{
    LimitTable *table = limit_table_new();
    LimitClient *client = enter(table, "192.0.2.1:1", 1, 0);

    for (int i = 0; i < 5; i++)
        assert_int_equal(limit_take_request(client, 10, 5, 100 * SECOND), 0);
    assert_int_equal(limit_take_request(client, 10, 5, 100 * SECOND), SECOND / 10);
    assert_int_equal(limit_take_request(client, 10, 5, 100 * SECOND + SECOND / 10), 0);
    assert_int_equal(limit_take_request(client, 10, 5, 100 * SECOND + SECOND / 10), SECOND / 10);
    for (int i = 0; i < 5; i++)
        assert_int_equal(limit_take_request(client, 10, 5, 200 * SECOND), 0);
    assert_true(limit_take_request(client, 10, 5, 200 * SECOND) > 0);
    /* No limit, and nobody to count for. */
    assert_int_equal(limit_take_request(client, 0, 1, 200 * SECOND), 0);
    assert_int_equal(limit_take_request(NULL, 1, 1, 0), 0);
    limit_table_free(table);
}

static void
bytes_beyond_a_second_s_worth_have_to_wait(void **state G_GNUC_UNUSED)
{
    LimitTable *table = limit_table_new();
    LimitClient *client = enter(table, "192.0.2.1:1", 1, 0);

    assert_int_equal(limit_take_bytes(client, 1000, 1000, 0), 0);
    assert_int_equal(limit_take_bytes(client, 1000, 500, 0), SECOND / 2);
    assert_int_equal(limit_take_bytes(client, 1000, 0, SECOND / 2), 0);
    /* However much it was: a pause can be revised soon. */
    assert_int_equal(limit_take_bytes(client, 1, 1000000, SECOND), 2 * SECOND);
    assert_int_equal(limit_take_bytes(client, 0, 1000000, SECOND), 0);
    limit_table_free(table);
}

static void
reconnecting_does_not_refill_a_bucket(void **state G_GNUC_UNUSED)
{
    LimitTable *table = limit_table_new();
    LimitClient *client = enter(table, "192.0.2.1:1", 1, 0);

    assert_int_equal(limit_take_request(client, 1, 1, 0), 0);
    limit_leave(table, client, 0);
    client = enter(table, "192.0.2.1:2", 1, 1);
    assert_int_equal(limit_take_request(client, 1, 1, 1), SECOND - 1);
    limit_table_free(table);
}

static void
a_flood_of_addresses_takes_bounded_memory(void **state G_GNUC_UNUSED)
{
    LimitTable *table = limit_table_new();
    LimitClient *kept = enter(table, "203.0.113.1:1", 1, 0);

    for (uint32_t i = 0; i < 8 * LIMITS_MAX_IDLE; i++) {
        Peer from = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = i}};
        LimitClient *client;

        assert_true(limit_enter(table, &from, 1, 0, &client));
        (void)limit_take_request(client, 1, 100, 0); /* so that it would be remembered */
        limit_leave(table, client, 0);
    }
    assert_true(limit_table_n_idle(table) <= LIMITS_MAX_IDLE + LIMITS_MAX_IDLE / 8);
    assert_null(enter(table, "203.0.113.1:2", 1, 0)); /* who is connected is never forgotten */
    limit_leave(table, kept, 0);
    limit_table_free(table);
}

typedef struct {
    LimitTable *table;
    atomic_int n_granted;
} Crowd;

static bool
ask_often(size_t item, G_GNUC_UNUSED unsigned thread, void *data, G_GNUC_UNUSED GError **error)
{
    Crowd *crowd = data;
    const Peer from = peer("192.0.2.1:1");

    for (int i = 0; i < 2000; i++) {
        LimitClient *client;

        assert_true(limit_enter(crowd->table, &from, 100, 0, &client));
        if (limit_take_request(client, 1000, 500, 0) == 0)
            atomic_fetch_add(&crowd->n_granted, 1);
        (void)limit_take_bytes(client, 1000, item, 0);
        limit_leave(crowd->table, client, 0);
    }
    return true;
}

static void
threads_share_one_bucket(void **state G_GNUC_UNUSED)
{
    Crowd crowd = {.table = limit_table_new()};

    assert_true(pool_run(4, 4, ask_often, &crowd, NULL));
    assert_int_equal(atomic_load(&crowd.n_granted), 500);
    limit_table_free(crowd.table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_an_ipv4_address_or_an_ipv6_network),
        cmocka_unit_test(connections_are_counted_until_they_end),
        cmocka_unit_test(requests_come_at_a_rate_after_a_burst),
        cmocka_unit_test(bytes_beyond_a_second_s_worth_have_to_wait),
        cmocka_unit_test(reconnecting_does_not_refill_a_bucket),
        cmocka_unit_test(a_flood_of_addresses_takes_bounded_memory),
        cmocka_unit_test(threads_share_one_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
