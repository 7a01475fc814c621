// SPDX-License-Identifier: Apache-2.0
/* Looking images up, notes, extensions, copies and architectures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index_fixture.h"

static void
test_a_name_comes_before_an_alias(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index = fixture_parse("[evil]\n" REST "aliases=debian-12 deb\n\n[debian-12]\n" REST
                                           "\n[debian-12]\narch=arm64\nfile=x\nsize=1\n",
                                           NULL);

    assert_string_equal(index_lookup(index, "debian-12", "amd64")->name, "debian-12");
    assert_string_equal(index_lookup(index, "deb", "x86_64")->name, "evil");
    assert_string_equal(index_lookup(index, "debian-12", "aarch64")->file, "x");
    assert_null(index_lookup(index, "deb", "aarch64"));
    assert_null(index_lookup(index, "none", "x86_64"));
}

static void
test_the_best_note_is_found(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index =
        fixture_parse("[a]\n" REST "notes[de]=D\nnotes=E\n\n[b]\n" REST "notes[fr]=F\n\n[c]\n" REST, NULL);
    const IndexEntry *a = fixture_entry(index, 0);

    assert_string_equal(index_entry_note(a, (const char *[]){"de_AT", "de", "", NULL}), "D");
    assert_string_equal(index_entry_note(a, (const char *[]){"fr", NULL}), "E");
    assert_string_equal(index_entry_note(fixture_entry(index, 1), (const char *[]){"de", NULL}), "F");
    assert_null(index_entry_note(fixture_entry(index, 2), (const char *[]){"", NULL}));
}

static void
test_extensions_are_set_replaced_and_removed(void **state G_GNUC_UNUSED)
{
    g_autoptr(IndexEntry) entry = index_entry_new();

    assert_null(index_entry_extension(entry, "x"));
    index_entry_set_extension(entry, "x", "1");
    index_entry_set_extension(entry, "x", "2");
    assert_string_equal(index_entry_extension(entry, "x"), "2");
    index_entry_set_extension(entry, "x", NULL);
    index_entry_set_extension(entry, "x", NULL);
    assert_null(index_entry_extension(entry, "x"));
    assert_int_equal(entry->extensions->len, 0);
}

static void
test_a_copy_has_everything_and_shares_nothing(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index = fixture_parse(
        "[a]\n" REST "name=T\nchecksum=" SHA512_A "\nnotes[de]=D\naliases=x y\nx_y=1\nhidden=true\n", NULL);
    g_autoptr(Index) other = index_new();
    g_autofree char *before = index_print(index, NULL), *after = NULL;

    g_ptr_array_add(other->entries, index_entry_copy(fixture_entry(index, 0)));
    g_clear_pointer(&index, index_free);
    after = index_print(other, NULL);
    assert_string_equal(before, after);
}

static void
test_architectures_have_one_spelling(void **state G_GNUC_UNUSED)
{
    static const char *const CASES[][2] = {
        {"amd64", "x86_64"},    {"x86_64", "x86_64"},
        {"i486", "i386"},       {"i586", "i386"},
        {"i686", "i386"},       {"arm64", "aarch64"},
        {"powerpc", "ppc"},     {"powerpc64le", "ppc64le"},
        {"riscv64", "riscv64"}, {"", ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        assert_string_equal(index_normal_arch(CASES[i][0]), CASES[i][1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_comes_before_an_alias),
        cmocka_unit_test(test_the_best_note_is_found),
        cmocka_unit_test(test_extensions_are_set_replaced_and_removed),
        cmocka_unit_test(test_a_copy_has_everything_and_shares_nothing),
        cmocka_unit_test(test_architectures_have_one_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
