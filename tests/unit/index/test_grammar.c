// SPDX-License-Identifier: Apache-2.0
/* The line grammar against real index texts and against inputs whose reading by virt-builder is recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index/grammar.h"
#include "index_fixture.h"

typedef struct {
    unsigned sections, fields, problems;
} Count;

static void
count_section(const GrammarSection *section, void *context)
{
    Count *count = context;

    count->sections++;
    count->fields += section->fields->len;
}

static void
count_problem(unsigned line G_GNUC_UNUSED, const char *message G_GNUC_UNUSED, void *context)
{
    ((Count *)context)->problems++;
}

static const GrammarEvents EVENTS = {.section = count_section, .problem = count_problem};

/* The message inside the armour, as gpg would give it: no trailing blanks, dashes unescaped. */
static char *
strip_armour(const char *text)
{
    const char *start = strstr(text, "-----BEGIN PGP SIGNED MESSAGE-----\n");
    g_autoptr(GString) out = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;

    if (start == NULL)
        return g_strdup(text);
    start = strstr(start, "\n\n");
    lines = g_strsplit(start == NULL ? "" : start + 2, "\n", -1);
    for (char **line = lines; *line != NULL && strcmp(*line, "-----BEGIN PGP SIGNATURE-----") != 0; line++)
        g_string_append_printf(out, "%s\n", g_strchomp(g_str_has_prefix(*line, "- ") ? *line + 2 : *line));
    return g_string_free(g_steal_pointer(&out), FALSE);
}

/* Calls @check for every file of @folder but RESULTS.txt. */
static void
for_each_text(const char *folder, void (*check)(const char *name, const char *text))
{
    g_autofree char *data = data_folder();
    g_autofree char *path = g_build_filename(data, folder, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    assert_non_null(dir);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *raw = NULL, *text = NULL;

        if (strcmp(name, "RESULTS.txt") == 0 || g_str_has_suffix(name, ".conf") ||
            g_str_has_suffix(name, ".gpg"))
            continue;
        assert_true(g_file_get_contents(file, &raw, NULL, NULL));
        text = strip_armour(raw);
        check(name, text);
        n++;
    }
    assert_true(n > 0);
}

static void
check_parser_case(const char *name, const char *text)
{
    g_autofree char *data = data_folder();
    g_autofree char *path = g_build_filename(data, "parser-cases", "RESULTS.txt", NULL);
    g_autofree char *results = NULL;
    Count count = {0};

    assert_true(g_file_get_contents(path, &results, NULL, NULL));
    index_grammar_read(text, strlen(text), &EVENTS, &count);
    if (count.problems > 0 &&
        (fixture_is_accepted(results, name, "old") || fixture_is_accepted(results, name, "new")))
        fail_msg("%s: %u problems, but virt-builder accepts it", name, count.problems);
}

static void
test_all_that_either_virt_builder_grammar_accepts_is_accepted(void **state G_GNUC_UNUSED)
{
    for_each_text("parser-cases", check_parser_case);
}

static void
check_validate_case(const char *name, const char *text)
{
    Count count = {0};

    index_grammar_read(text, strlen(text), &EVENTS, &count);
    if ((count.problems > 0) != (strstr(name, "bad") != NULL))
        fail_msg("%s: %u problems", name, count.problems);
}

static void
test_good_files_have_no_problem_and_bad_ones_have(void **state G_GNUC_UNUSED)
{
    for_each_text("validate", check_validate_case);
}

static void
check_real_index(const char *name, const char *text)
{
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(Index) index = fixture_parse(text, &problems);
    Count count = {0};

    index_grammar_read(text, strlen(text), &EVENTS, &count);
    assert_int_equal(count.problems, 0);
    if (strcmp(name, "2014") < 0) /* before images had an architecture */
        return;
    if (problems->len > 0)
        fail_msg("%s: %s", name, ((const IndexProblem *)g_ptr_array_index(problems, 0))->message);
    if (index->entries->len == 0)
        fail_msg("%s: no entries", name);
}

static void
test_every_official_index_reads_without_a_problem(void **state G_GNUC_UNUSED)
{
    for_each_text("official-index", check_real_index);
}

static void
test_lines_become_fields(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        Count count;
    } CASES[] = {
        {"", {0, 0, 0}},
        {"\n\n \n", {0, 0, 0}},
        {"[a]", {1, 0, 0}},
        {"[a] \t\r\n[b]\n", {2, 0, 0}},
        {"[a]\nk=v\n\nk=w\n", {1, 2, 0}},
        {"[a]\nk=v\n# c\n\n cont\n", {1, 1, 0}},
        {"[a]\nk.x_9[pt_BR.UTF,8]=v\n", {1, 1, 0}},
        {"[a]\nk =v\n", {1, 0, 1}},
        {"[a]\nk[]=v\nk[a b]=v\nk[a]x=v\nk[a][b]=v\n", {1, 0, 4}},
        {"[a]\n!\n x\n y\n", {1, 0, 1}},
        {"[a\nk=v\n!\n[b]\n", {1, 0, 1}},
        {"[a] # c\nk=v\n", {0, 0, 1}},
        {"x\n", {0, 0, 1}},
        {" x\n", {0, 0, 1}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        Count count = {0};

        index_grammar_read(CASES[i].text, strlen(CASES[i].text), &EVENTS, &count);
        if (memcmp(&count, &CASES[i].count, sizeof(count)) != 0)
            fail_msg("case %zu: %u sections, %u fields, %u problems", i, count.sections, count.fields,
                     count.problems);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_become_fields),
        cmocka_unit_test(test_all_that_either_virt_builder_grammar_accepts_is_accepted),
        cmocka_unit_test(test_good_files_have_no_problem_and_bad_ones_have),
        cmocka_unit_test(test_every_official_index_reads_without_a_problem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
