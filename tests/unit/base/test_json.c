// SPDX-License-Identifier: Apache-2.0
/* JSON documents: what is printed parses again, bad text is refused with its line. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
what_is_set_is_printed_and_read_back(void **state)
{
    g_autoptr(Json) object = json_new_object();
    g_autoptr(Json) again = NULL;
    g_autofree char *text = NULL;
    Json *list = json_new_array();

    (void)state;
    json_append_text(list, "one");
    json_append_text(list, "b\xff"
                           "d\x1b");
    json_set_text(object, "name", "x");
    json_set_text(object, "none", NULL);
    json_set_number(object, "size", INT64_C(1) << 60);
    json_set_flag(object, "is_here", true);
    json_set(object, "list", list);
    text = json_print(object);
    again = json_parse(text, strlen(text), "t", NULL);
    assert_non_null(again);
    assert_string_equal(json_get_text(again, "name"), "x");
    assert_null(json_get_text(again, "none"));
    assert_true(json_get_number(again, "size", 0) == INT64_C(1) << 60);
    assert_true(json_get_flag(again, "is_here", false));
    assert_int_equal(json_length(json_get(again, "list")), 2);
}

static void
bad_documents_are_refused_with_their_line(void **state)
{
    static const char *const bad[] = {"", "{", "{\"a\":1,\n\"a\":2}", "[1,]", "{} x"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(json_parse(bad[i], strlen(bad[i]), "file", &error));
        assert_true(g_str_has_prefix(error->message, "file:"));
    }
}

static void
getters_fall_back_on_missing_or_other_types(void **state)
{
    const char *text = "{\"n\": \"text\", \"t\": 5}";
    g_autoptr(Json) object = json_parse(text, strlen(text), "t", NULL);

    (void)state;
    assert_int_equal(json_get_number(object, "n", 7), 7);
    assert_null(json_get_text(object, "t"));
    assert_null(json_get_text(NULL, "t"));
    assert_null(json_get(object, "missing"));
    assert_int_equal(json_length(NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_is_printed_and_read_back),
        cmocka_unit_test(bad_documents_are_refused_with_their_line),
        cmocka_unit_test(getters_fall_back_on_missing_or_other_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
