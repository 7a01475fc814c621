// SPDX-License-Identifier: Apache-2.0
/* Counting, and the text that Prometheus reads. */
#include "repod/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
assert_has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("'%s' is not in: %s", line, text);
}

static void
workers_are_added_up(void **state G_GNUC_UNUSED)
{
    g_autofree WorkerMetrics *one = g_new0(WorkerMetrics, 1), *two = g_new0(WorkerMetrics, 1);
    g_autoptr(GPtrArray) workers = g_ptr_array_new();
    g_autoptr(GString) out = g_string_new(NULL);

    metrics_add(one, HTTP_GET, 200, 10, 100);
    metrics_add(one, HTTP_GET, 206, 5, 101);
    metrics_add(two, HTTP_GET, 404, 0, 700000000);
    metrics_add(two, HTTP_OTHER, 405, 0, 0);
    g_ptr_array_add(workers, one);
    g_ptr_array_add(workers, two);
    metrics_print_totals(out, workers);
    assert_has(out->str, "\nrepod_requests_total{method=\"GET\",status=\"2xx\"} 2\n");
    assert_has(out->str, "\nrepod_requests_total{method=\"GET\",status=\"4xx\"} 1\n");
    assert_has(out->str, "\nrepod_requests_total{method=\"other\",status=\"4xx\"} 1\n");
    assert_has(out->str, "\nrepod_sent_bytes_total 15\n");
    assert_has(out->str, "\nrepod_request_seconds_bucket{le=\"0.0001\"} 2\n");
    assert_has(out->str, "\nrepod_request_seconds_bucket{le=\"0.0005\"} 3\n");
    assert_has(out->str, "\nrepod_request_seconds_bucket{le=\"600\"} 3\n");
    assert_has(out->str, "\nrepod_request_seconds_bucket{le=\"+Inf\"} 4\n");
    assert_has(out->str, "\nrepod_request_seconds_sum 700.000201\n");
    assert_has(out->str, "\nrepod_request_seconds_count 4\n");
}

static void
every_counter_is_exported_once(void **state G_GNUC_UNUSED)
{
    Counters counters = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    unsigned n_lines = 0;

    for (Count i = 0; i < N_COUNTS; i++) {
        assert_true((count_texts[i].name == NULL) != (count_texts[i].limit == NULL));
        counters_add(&counters, i);
    }
    metrics_print_counters(out, &counters, 7);
    assert_has(out->str, "\nrepod_open_connections 7\n");
    assert_has(out->str, "\nrepod_limit_hits_total{limit=\"client-requests\"} 1\n");
    assert_has(out->str, "\nrepod_connections_total 1\n");
    for (const char *at = out->str; (at = strstr(at, " 1\n")) != NULL; at++)
        n_lines++;
    assert_int_equal(n_lines, N_COUNTS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_are_added_up),
        cmocka_unit_test(every_counter_is_exported_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
