// SPDX-License-Identifier: Apache-2.0
/* index_print(): canonical text, and that reading it back gives the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index_fixture.h"

static IndexEntry *
plain_entry(const char *name)
{
    IndexEntry *entry = index_entry_new();

    entry->name = g_strdup(name);
    entry->arch = g_strdup("x86_64");
    entry->file = g_strdup("a.xz");
    entry->size = 1048576;
    return entry;
}

static void
add_note(IndexEntry *entry, const char *language, const char *text)
{
    IndexNote *note = g_new0(IndexNote, 1);

    note->language = g_strdup(language);
    note->text = g_strdup(text);
    g_ptr_array_add(entry->notes, note);
}

static void
test_the_text_is_what_old_parsers_want(void **state G_GNUC_UNUSED)
{
    static const char EXPECTED[] = "# virt-depot: 1\n"
                                   "# repo-id: 0f8fad5b-d9cb-469f-a165-70867728950e\n"
                                   "# version: 42\n"
                                   "# created: 2026-11-22T19:00:00Z\n"
                                   "# expires: 2026-12-06T19:00:00Z\n"
                                   "\n"
                                   "[a]\n"
                                   "file=a.xz\n"
                                   "arch=x86_64\n"
                                   "checksum[sha512]=" SHA512_A "\n"
                                   "revision=1\n"
                                   "size=1048576\n"
                                   "notes=one\n"
                                   " \n"
                                   "   two\n"
                                   "aliases=x y\n"
                                   "x_eol=2028-06-30\n"
                                   "\n"
                                   "[b]\n"
                                   "file=a.xz\n"
                                   "arch=x86_64\n"
                                   "revision=1\n"
                                   "size=1048576\n"
                                   "hidden=true\n"
                                   "\n";
    g_autoptr(Index) index = index_new();
    g_autofree char *text = NULL;
    IndexEntry *a = plain_entry("a"), *b = plain_entry("b");

    index->repo_id = g_strdup("0f8fad5b-d9cb-469f-a165-70867728950e");
    index->version = 42;
    index->created = 1795374000;
    index->expires = 1796583600;
    a->sha512 = g_strdup(SHA512_A);
    a->aliases = g_strsplit("x y", " ", -1);
    add_note(a, "", "one  \n\n  two\n\n");
    index_entry_set_extension(a, "x_eol", "2028-06-30");
    b->is_hidden = true;
    g_ptr_array_add(index->entries, a);
    g_ptr_array_add(index->entries, b);
    text = index_print(index, NULL);
    assert_string_equal(text, EXPECTED);
}

static void
test_printed_text_reads_back_the_same(void **state G_GNUC_UNUSED)
{
    static const char *const VALUES[] = {"",    "x",         "x\ny",    "\nx",       "\n\nx\n\ny",
                                         "a=b", "[section]", "# no",    "x\n[y]\n#", "  x\n  y  ",
                                         "\v",  "x\n\v\n\v", "\xff\xfe"};

    for (size_t i = 0; i < G_N_ELEMENTS(VALUES); i++) {
        g_autoptr(Index) index = index_new(), again = NULL;
        g_autoptr(GPtrArray) problems = NULL;
        g_autofree char *text = NULL, *second = NULL;
        IndexEntry *entry = plain_entry("a");

        entry->title = g_strdup(VALUES[i]);
        add_note(entry, "de", VALUES[i]);
        index_entry_set_extension(entry, "x_y", VALUES[i]);
        g_ptr_array_add(index->entries, entry);
        text = index_print(index, NULL);
        again = fixture_parse(text, &problems);
        assert_int_equal(problems->len, 0);
        second = index_print(again, NULL);
        if (*VALUES[i] != '\0')
            assert_string_equal(text, second);
        assert_non_null(index_entry_extension(fixture_entry(again, 0), "x_y"));
    }
}

static void
test_what_the_grammar_cannot_carry_is_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *name, *file, *language, *key;
    } CASES[] = {
        {"a b", "a", "", "x"}, {"", "a", "", "x"},       {"a", "../a", "", "x"},  {"a", "a", "pt-BR", "x"},
        {"a", "a", "", "x-y"}, {"a", "a", "", "size"},   {"a", "a", "", "notes"}, {"a", "a", "", "x\ny"},
        {"a", "a", "", ""},    {"a", "a", "", "hidden"}, {"a", "/a", "", "x"},    {"a", "a\n", "", "x"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(Index) index = index_new();
        g_autoptr(GError) error = NULL;
        IndexEntry *entry = plain_entry(CASES[i].name);

        g_free(entry->file);
        entry->file = g_strdup(CASES[i].file);
        add_note(entry, CASES[i].language, "x");
        index_entry_set_extension(entry, CASES[i].key, "v");
        g_ptr_array_add(index->entries, entry);
        assert_null(index_print(index, &error));
        assert_non_null(error);
    }
}

static void
test_more_entries_than_old_parsers_take_are_refused(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index = index_new();
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i <= INDEX_MAX_PRINT_ENTRIES; i++) {
        g_autofree char *name = g_strdup_printf("i%u", i);

        g_ptr_array_add(index->entries, plain_entry(name));
    }
    assert_null(index_print(index, &error));
    assert_non_null(strstr(error->message, "2400"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_is_what_old_parsers_want),
        cmocka_unit_test(test_printed_text_reads_back_the_same),
        cmocka_unit_test(test_what_the_grammar_cannot_carry_is_refused),
        cmocka_unit_test(test_more_entries_than_old_parsers_take_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
