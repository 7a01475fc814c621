// SPDX-License-Identifier: Apache-2.0
/* The parallel for: every item once, first failure wins, nothing new after it. */
#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#define N_ITEMS 1000

typedef struct {
    atomic_uint seen[N_ITEMS];
    atomic_uint total;
    size_t fail_at;
} Log;

static bool
note(size_t item, unsigned worker, void *context, GError **error)
{
    Log *log = context;

    assert_true(worker < 8);
    atomic_fetch_add(&log->seen[item], 1);
    atomic_fetch_add(&log->total, 1);
    if (item == log->fail_at)
        return error_set(error, "item %zu", item);
    return true;
}

static void
every_item_is_done_exactly_once(void **state)
{
    static const unsigned threads[] = {0, 1, 2, 8};

    (void)state;
    for (size_t t = 0; t < G_N_ELEMENTS(threads); t++) {
        g_autofree Log *log = g_new0(Log, 1);

        log->fail_at = SIZE_MAX;
        assert_true(pool_run(threads[t], N_ITEMS, note, log, NULL));
        for (size_t i = 0; i < N_ITEMS; i++)
            assert_int_equal(log->seen[i], 1);
    }
}

static void
a_failure_stops_the_run_and_is_reported(void **state)
{
    g_autofree Log *log = g_new0(Log, 1);
    g_autoptr(GError) error = NULL;

    (void)state;
    log->fail_at = 10;
    assert_false(pool_run(1, N_ITEMS, note, log, &error));
    assert_string_equal(error->message, "item 10");
    assert_int_equal(log->total, 11);
}

static void
a_run_of_nothing_succeeds(void **state)
{
    (void)state;
    assert_true(pool_run(4, 0, note, NULL, NULL));
}

static void
count(void *data)
{
    atomic_fetch_add((atomic_uint *)data, 1);
}

static void
a_queue_does_all_that_was_pushed_before_it_ends(void **state)
{
    atomic_uint done = 0;

    (void)state;
    for (unsigned threads = 0; threads <= 4; threads += 2) {
        PoolQueue *queue = pool_queue_new(threads, NULL);

        assert_non_null(queue);
        atomic_store(&done, 0);
        for (int i = 0; i < N_ITEMS; i++)
            pool_queue_push(queue, count, &done);
        pool_queue_free(queue);
        assert_int_equal(atomic_load(&done), N_ITEMS);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_exactly_once),
        cmocka_unit_test(a_failure_stops_the_run_and_is_reported),
        cmocka_unit_test(a_run_of_nothing_succeeds),
        cmocka_unit_test(a_queue_does_all_that_was_pushed_before_it_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
