// SPDX-License-Identifier: Apache-2.0
/* Findings: counted by severity, and complete in JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/finding.h"

static GPtrArray *
make_list(void)
{
    GPtrArray *findings = finding_list_new();

    finding_add(findings, FINDING_WARNING, "index", 7, "no %s", "blank");
    finding_add(findings, FINDING_ERROR, "blobs/x", 0, "missing");
    return findings;
}

static void
test_an_error_counts_as_a_warning_but_not_the_other_way_round(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) findings = make_list();

    assert_int_equal(finding_count(findings, FINDING_WARNING), 2);
    assert_int_equal(finding_count(findings, FINDING_ERROR), 1);
}

static void
test_json_has_path_line_severity_and_message(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) findings = make_list();
    g_autoptr(Json) list = finding_list_json(findings);
    const Json *first = json_at(list, 0), *second = json_at(list, 1);

    assert_int_equal(json_length(list), 2);
    assert_string_equal(json_get_text(first, "path"), "index");
    assert_int_equal(json_get_number(first, "line", -1), 7);
    assert_string_equal(json_get_text(first, "severity"), "warning");
    assert_string_equal(json_get_text(first, "message"), "no blank");
    assert_int_equal(json_get_number(second, "line", -1), -1);
    assert_string_equal(json_get_text(second, "severity"), "error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_counts_as_a_warning_but_not_the_other_way_round),
        cmocka_unit_test(test_json_has_path_line_severity_and_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
