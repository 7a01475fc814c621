// SPDX-License-Identifier: Apache-2.0
/* The part of Perl that guests without one have. The expectations are what perl -pe prints. */
#include "guest/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
lines_are_edited_as_perl_does_it(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text, *expression, *expected;
    } table[] = {
        {"aa\naa\n", "s/a/b/", "ba\nba\n"},  {"aa\naa", "s/a/b/g", "bb\nbb"},
        {"aA\n", "s/a/b/gi;", "bb\n"},       {"a/b\n", "s|/|\\||", "a|b\n"},
        {"a/b\n", "s/\\//-/", "a-b\n"},      {"x=1\n", "s/^(\\w)=(\\d)$/$2=${1}\\1/", "1=xx\n"},
        {"foo\n", "s/o+/<$&>/", "f<oo>\n"},  {"a\n", "s/a/\\$1\\t\\n/", "$1\t\n\n"},
        {"a.c\n", "s/\\./,/", "a,c\n"},      {"a\n", "s/$/;/", "a;\n"},
        {"abc\n", "s/x*/-/g", "-a-b-c-\n-"}, {"abc\n", "s/(?<=a)b//", "ac\n"},
        {"ab\n", "s/(x)?a/[$1]/", "[]b\n"},  {"caf\xe9\n", "s/\xe9/e/", "cafe\n"},
        {"a\nb\nab\n", "/^a/d", "b\n"},      {"a\nb\n", "  /a/d  ", "b\n"},
        {"a@b\n", "s/@/@ /", "a@ b\n"},      {"", "s/^/x/", ""},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = edit_text(table[i].text, table[i].expression, &error);

        assert_null(error);
        assert_string_equal(text, table[i].expected);
    }
}

static void
what_is_not_understood_is_refused(void **state G_GNUC_UNUSED)
{
    static const char *const table[] = {
        "tr/a/b/", "s/a/b",   "s/a",        "s//b/",      "s/a/b/e",    "s/a/b/; s/c/d/", "s{a}{b}",
        "print",   "s/a/$x/", "s/a/${xy}/", "s/a/$10/",   "s/a/@list/", "s/$x/b/",        "s/a/\\U$1/",
        "/a/",     "/a/dd",   "s'a'b'",     "s/a/$0/",    "s/a/b\\",    "s/(/b/",         "s/a/$/",
        "$_ = ''", "s a b ",  "",           "s/a/b/ # c", "s/@{x}/b/",  "s#a#b#",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = edit_text("a\n", table[i], &error);

        assert_null(text);
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
        assert_non_null(strstr(error->message, table[i]));
    }
}

static void
text_without_bounds_is_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) text = g_string_new(NULL), long_one = g_string_new("s/a/");
    g_autofree char *expression = NULL;
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < 40000; i++)
        g_string_append_c(text, 'a');
    for (unsigned i = 0; i < 1000; i++)
        g_string_append_c(long_one, 'x');
    expression = g_strconcat(long_one->str, "/g", NULL);
    assert_null(edit_text(text->str, expression, &error));
    assert_non_null(strstr(error->message, "larger than 16 MiB"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_edited_as_perl_does_it),
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(text_without_bounds_is_an_error),
    };

    return cmocka_run_group_tests_name("guest/edit", tests, NULL, NULL);
}
