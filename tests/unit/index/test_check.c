// SPDX-License-Identifier: Apache-2.0
/* index_check(): findings with their lines; strict ones agree with the old grammar of virt-builder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index/stock.h"
#include "index_fixture.h"

#define SUM "checksum=" SHA512_A "\n"
#define ALL REST SUM
#define CLEAR "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
#define END "\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"

static void
test_findings_have_their_line_and_severity(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        const char *strict; /* "LINE severity message; ..." */
    } CASES[] = {
        {"[a]\n" ALL, ""},
        {"[a]\n" ALL "\n[b]\n" ALL, ""},
        {CLEAR "[a]\n" ALL END, ""},
        {CLEAR "[a]\n" ALL "notes=x\n \n y\n" END, ""},
        {"[a]\n" ALL "size=1\n", "6 error entry 'a': field 'size' appears twice"},
        {CLEAR "[a]\n" ALL "hidden=yes\n" END, "9 error entry 'a': field 'hidden'"},
        {"[a]\n" REST, "1 warning no SHA-512 checksum"},
        {"[a]\n" REST "sig=a.sig\n", ""},
        {"[a]\n" ALL "[b]\n" ALL, "6 warning no empty line before"},
        {"[a]\n" ALL "\nname=x\n", "7 warning an empty line inside"},
        {"[a]\n" ALL "notes=x\n\n y\n", "8 warning an indented line after"},
        {"[a]\n" ALL "name=x", "6 warning no newline at the end"},
        {"\xef\xbb\xbf[a]\n" ALL, "1 warning a byte order mark"},
        {"[a]\r\narch=x86_64\r\nfile=a\r\nsize=1\r\n" SUM, "1 warning the line ends in CR LF"},
        {"[a]\nfile= a.xz\nsize=1\narch=x86_64\n" SUM, "2 warning blanks around"},
        {"[a]\nfile=a.xz \nsize=1\narch=x86_64\n" SUM, "2 warning blanks around"},
        {"[a]\n" ALL "name= x\n", ""},
        {"[a]\n" ALL "revision=4611686018427387904\n", "6 warning a revision above"},
        {"[a]\n" ALL "aliases=x  y\n", "6 warning aliases not separated"},
        {"[a]\n" ALL "name=\xe9\n", "6 warning not UTF-8"},
        {CLEAR "[a]\n" ALL, "0 warning a signed message without"},
        {CLEAR END, "0 warning a signed index without an image"},
        {"\n" CLEAR "[a]\n" ALL END, "2 error neither"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GBytes) file = g_bytes_new_static(CASES[i].text, strlen(CASES[i].text));
        g_autoptr(GPtrArray) strict = finding_list_new(), plain = finding_list_new();
        g_autofree char *first = NULL;
        g_autoptr(Index) one = index_check(file, NULL, "f", true, strict);
        g_autoptr(Index) other = index_check(file, NULL, "f", false, plain);

        assert_int_equal(one->entries->len, other->entries->len);
        if (strict->len > 0) {
            const Finding *finding = g_ptr_array_index(strict, 0);

            first =
                g_strdup_printf("%u %s %s", finding->line,
                                finding->severity == FINDING_ERROR ? "error" : "warning", finding->message);
        }
        if (!g_str_has_prefix(first == NULL ? "" : first, CASES[i].strict) ||
            (*CASES[i].strict == '\0' && strict->len > 0))
            fail_msg("case %zu: %s: %s", i, CASES[i].text, first);
        assert_int_equal(finding_count(plain, FINDING_ERROR), finding_count(strict, FINDING_ERROR));
        assert_int_equal(plain->len, finding_count(plain, FINDING_ERROR));
    }
}

static void
test_what_only_the_file_as_a_whole_shows(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) text = g_string_new("");
    g_autoptr(GPtrArray) findings = finding_list_new(), many = finding_list_new();
    g_autoptr(GBytes) fits = NULL, above = NULL;
    g_autoptr(Index) first = NULL, second = NULL;
    const Finding *finding;

    for (unsigned i = 0; i < INDEX_MAX_PRINT_ENTRIES; i++)
        g_string_append_printf(text, "[i%u]\n" ALL "\n", i);
    fits = g_bytes_new(text->str, text->len);
    first = index_check(fits, NULL, "f", true, findings);
    assert_int_equal(findings->len, 0);
    g_string_append(text, "[more]\n" ALL "\n[yet.more]\n" ALL);
    above = g_bytes_new(text->str, text->len);
    second = index_check(above, NULL, "f", true, many);
    assert_int_equal(many->len, 1);
    finding = g_ptr_array_index(many, 0);
    assert_int_equal(finding->line, INDEX_MAX_PRINT_ENTRIES * 6 + 1);
    assert_non_null(strstr(finding->message, "more sections"));
}

/* But what is about fields and encoding: the recorded results are of the grammar alone. */
static guint
count_grammar(const GPtrArray *findings)
{
    guint n = 0;

    for (guint i = 0; i < findings->len; i++) {
        const char *message = ((const Finding *)g_ptr_array_index(findings, i))->message;

        n += strstr(message, "no SHA-512") == NULL && strstr(message, "UTF-8") == NULL &&
             strstr(message, "from 1.55.6 on") == NULL;
    }
    return n;
}

static void
test_strict_findings_agree_with_the_old_grammar_on_every_recorded_case(void **state G_GNUC_UNUSED)
{
    g_autofree char *data = data_folder();
    g_autofree char *folder = g_build_filename(data, "parser-cases", NULL);
    g_autofree char *results_path = g_build_filename(folder, "RESULTS.txt", NULL), *results = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    unsigned n = 0;

    assert_true(g_file_get_contents(results_path, &results, NULL, NULL));
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, name, NULL), *text = NULL;
        g_autoptr(GPtrArray) findings = finding_list_new(), problems = NULL;
        g_autoptr(Index) index = NULL;
        gsize size;

        if (strcmp(name, "RESULTS.txt") == 0)
            continue;
        assert_true(g_file_get_contents(path, &text, &size, NULL));
        index_stock_check(text, size, name, findings);
        /* What our own parser refuses as well is found by that. */
        index = fixture_parse(text, &problems);
        if (fixture_is_accepted(results, name, "old") && count_grammar(findings) > 0)
            fail_msg("%s: line %u: %s", name, ((const Finding *)g_ptr_array_index(findings, 0))->line,
                     ((const Finding *)g_ptr_array_index(findings, 0))->message);
        if (!fixture_is_accepted(results, name, "old") && count_grammar(findings) == 0 && problems->len == 0)
            fail_msg("%s: nothing found", name);
        n++;
    }
    assert_true(n > 30);
}

static void
test_the_body_of_a_signed_file_is_found(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *file, *body;
        unsigned lines;
    } CASES[] = {
        {"[a]\nx=y\n", "[a]\nx=y\n", 0},
        {"", "", 0},
        {CLEAR "[a]\n- - x\n" END, "[a]\n- x\n\n", 3},
        {"-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\n[a]\r\n", "[a]\n", 2},
        {"-----BEGIN PGP SIGNED MESSAGE-----", "", 2},
        {"-----BEGIN PGP SIGNED MESSAGE----- \n\n[a]\n", "-----BEGIN PGP SIGNED MESSAGE----- \n\n[a]\n", 0},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GBytes) file = g_bytes_new_static(CASES[i].file, strlen(CASES[i].file));
        unsigned lines = 99;
        g_autoptr(GBytes) body = index_body(file, &lines);
        g_autofree char *text = g_strndup(g_bytes_get_data(body, NULL), g_bytes_get_size(body));

        assert_string_equal(text, CASES[i].body);
        assert_int_equal(lines, CASES[i].lines);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings_have_their_line_and_severity),
        cmocka_unit_test(test_what_only_the_file_as_a_whole_shows),
        cmocka_unit_test(test_strict_findings_agree_with_the_old_grammar_on_every_recorded_case),
        cmocka_unit_test(test_the_body_of_a_signed_file_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
