// SPDX-License-Identifier: Apache-2.0
/* index_parse(): what each field means, what is refused and in which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index_fixture.h"

static void
test_every_field_of_an_entry_is_read(void **state G_GNUC_UNUSED)
{
    static const char TEXT[] = "# virt-depot: 1\n"
                               "# repo-id: 0F8FAD5B-D9CB-469F-A165-70867728950E\n"
                               "# version: 42\n"
                               "# created: 2026-11-22T19:00:00Z\n"
                               "# expires: 2026-12-06T19:00:00Z\n"
                               "\n"
                               "[debian-12]\n"
                               "name= Debian 12 (bookworm) \n"
                               "osinfo=debian12\n"
                               "arch=amd64\n"
                               "file=blobs/debian-12.xz\n"
                               "sig=debian-12.xz.sig\n"
                               "checksum[sha512]=" SHA512_A "\n"
                               "checksum[sha256]=" SHA256_B "\n"
                               "revision=7\n"
                               "format=qcow2\n"
                               "size=6442450944\n"
                               "compressed_size=199265736\n"
                               "expand=/dev/sda1\n"
                               "lvexpand=/dev/vg/root\n"
                               "notes=Debian 12\n"
                               " \n"
                               " Second paragraph.\n"
                               "notes[de]=Deutsch\n"
                               "aliases=debian  bookworm\n"
                               "hidden=true\n"
                               "x_manifest=m.json\n"
                               "x_manifest[old]=n.json\n";
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(Index) index = fixture_parse(TEXT, &problems);
    const IndexEntry *entry;

    assert_int_equal(problems->len, 0);
    assert_string_equal(index->repo_id, "0f8fad5b-d9cb-469f-a165-70867728950e");
    assert_int_equal(index->version, 42);
    assert_int_equal(index->created, 1795374000);
    assert_int_equal(index->expires, 1796583600);
    assert_int_equal(index->entries->len, 1);
    entry = fixture_entry(index, 0);
    assert_string_equal(entry->name, "debian-12");
    assert_string_equal(entry->title, "Debian 12 (bookworm)");
    assert_string_equal(entry->osinfo, "debian12");
    assert_string_equal(entry->arch, "x86_64");
    assert_string_equal(entry->file, "blobs/debian-12.xz");
    assert_string_equal(entry->sig, "debian-12.xz.sig");
    assert_string_equal(entry->sha512, SHA512_A);
    assert_string_equal(entry->sha256, SHA256_B);
    assert_int_equal(entry->revision, 7);
    assert_string_equal(entry->format, "qcow2");
    assert_int_equal(entry->size, 6442450944);
    assert_int_equal(entry->compressed_size, 199265736);
    assert_string_equal(entry->expand, "/dev/sda1");
    assert_string_equal(entry->lvexpand, "/dev/vg/root");
    assert_string_equal(index_entry_note(entry, (const char *[]){"fr", "", NULL}),
                        "Debian 12\n\nSecond paragraph.");
    assert_string_equal(index_entry_note(entry, (const char *[]){"de", NULL}), "Deutsch");
    assert_string_equal(entry->aliases[0], "debian");
    assert_string_equal(entry->aliases[1], "bookworm");
    assert_null(entry->aliases[2]);
    assert_true(entry->is_hidden);
    assert_string_equal(index_entry_extension(entry, "x_manifest"), "m.json");
    assert_int_equal(entry->extensions->len, 2);
}

/* One entry [a] and a bad or odd line: how many entries and problems, and where the first problem is. */
static void
test_a_bad_entry_is_left_out_and_named_with_its_line(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        guint entries;
        unsigned line; /* 0: no problem */
        const char *message;
    } CASES[] = {
        {"[a]\n" REST, 1, 0, NULL},
        {"[a]\narch=x86_64\nfile=a.xz\nsize=1", 1, 0, NULL},
        {"[a]\r\narch=x86_64\r\nfile=a.xz\r\nsize=1\r\n", 1, 0, NULL},
        {"\xef\xbb\xbf[a]\n" REST, 1, 0, NULL},
        {"[a]\n" REST "[b]\n" REST, 2, 0, NULL},
        {"[a]\n" REST "\n[a]\narch=i686\nfile=b\nsize=1\n", 2, 0, NULL},
        {"[a]\n" REST "\n[a]\n" REST, 1, 6, "line 1 already"},
        {"[a]\narch=i386\nfile=b\nsize=1\n\n[a]\narch=i686\nfile=b\nsize=1\n", 1, 6, "line 1 already"},
        {"[a]\nfile=a.xz\nsize=1\n", 0, 1, "no field 'arch'"},
        {"[a]\narch=\nfile=a.xz\nsize=1\n", 0, 1, "no field 'arch'"},
        {"[a]\narch=x y\nfile=a.xz\nsize=1\n", 0, 1, "bad architecture"},
        {"[a]\narch=x86_64\nsize=1\n", 0, 1, "no field 'file'"},
        {"[a]\narch=x86_64\nfile=a.xz\n", 0, 1, "no field 'size'"},
        {"[a]\n" REST "name=x\nname=y\n", 0, 6, "'name' appears twice"},
        {"[a]\narch=x86_64\nfile=/etc/passwd\nsize=1\n", 0, 1, "relative"},
        {"[a]\narch=x86_64\nfile=http://evil/x\nsize=1\n", 0, 1, "URL"},
        {"[a]\narch=x86_64\nfile=../x\nsize=1\n", 0, 1, "'..'"},
        {"[a]\narch=x86_64\nfile=a/../../x\nsize=1\n", 0, 1, "'..'"},
        {"[a]\narch=x86_64\nfile=a..b/...x\nsize=1\n", 1, 0, NULL},
        {"[a]\narch=x86_64\nfile=a\x1b[2J\nsize=1\n", 0, 1, "control"},
        {"[a]\narch=x86_64\nfile=a\n b\nsize=1\n", 0, 1, "control"},
        {"[a]\n" REST "sig=../x\n", 0, 1, "sig must not"},
        {"[a]\narch=x86_64\nfile=a\nsize=-4\n", 0, 4, "'size'"},
        {"[a]\narch=x86_64\nfile=a\nsize=+4\n", 0, 4, "'size'"},
        {"[a]\narch=x86_64\nfile=a\nsize=0x10\n", 0, 4, "'size'"},
        {"[a]\narch=x86_64\nfile=a\nsize=1_000\n", 0, 4, "'size'"},
        {"[a]\narch=x86_64\nfile=a\nsize=4G\n", 0, 4, "'size'"},
        {"[a]\narch=x86_64\nfile=a\nsize=\n", 0, 4, "'size'"},
        {"[a]\narch=x86_64\nfile=a\nsize=9223372036854775807\n", 1, 0, NULL},
        {"[a]\narch=x86_64\nfile=a\nsize=9223372036854775808\n", 0, 4, "'size'"},
        {"[a]\n" REST "revision=0\n", 1, 0, NULL},
        {"[a]\n" REST "revision=1.5\n", 0, 5, "'revision'"},
        {"[a]\n" REST "compressed_size=1 \t\n", 1, 0, NULL},
        {"[a]\n" REST "compressed_size=1 2\n", 0, 5, "'compressed_size'"},
        {"[a]\n" REST "hidden=yes\n", 0, 5, "'hidden'"},
        {"[a]\n" REST "format=vmdk\n", 0, 1, "format"},
        {"[a]\n" REST "format=\n", 1, 0, NULL},
        {"[a]\n" REST "checksum=" SHA256_B "\n", 0, 5, "SHA-512"},
        {"[a]\n" REST "checksum[sha512]=zz\n", 0, 5, "SHA-512"},
        {"[a]\n" REST "checksum=zz\nchecksum[sha512]=" SHA512_A "\n", 1, 0, NULL},
        {"[a]\n" REST "checksum[sha256]=zz\n", 0, 5, "SHA-256"},
        {"[a]\n" REST "checksum[blake3]=zz\n", 1, 0, NULL},
        {"[a]\n" REST "aliases=x/y\n", 0, 1, "alias"},
        {"[..]\n" REST, 0, 1, "name"},
        {"[-rf]\n" REST, 0, 1, "name"},
        {"[a b]\n" REST "[c]\n" REST, 1, 1, "section header"},
        {"[]\n" REST " x\n", 0, 1, "section header"},
        {"[a]\n" REST "notes[pt-BR]=x\n y\n", 1, 5, "neither"},
        {"[a]\n x\n" REST, 1, 2, "continuation"},
        {"arch=x\n[a]\n" REST, 1, 1, "before the first section"},
        {"-----BEGIN PGP SIGNED MESSAGE-----\n\n[a]\n" REST, 1, 1, "neither"},
        {"# version: x\n[a]\n" REST, 1, 1, "version"},
        {"# version: 1\n# version: 2\n[a]\n" REST, 1, 2, "again"},
        {"# virt-depot: 2\n[a]\n" REST, 1, 1, "later version"},
        {"# repo-id: ../../x\n[a]\n" REST, 1, 1, "UUID"},
        {"# expires: 2026-02-30T00:00:00Z\n[a]\n" REST, 1, 1, "expires"},
        {"# expires: 2026-02-03 00:00:00\n[a]\n" REST, 1, 1, "expires"},
        {"# any other comment: 1\n[a]\n" REST "# version: x\n", 1, 0, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) problems = NULL;
        g_autoptr(Index) index = fixture_parse(CASES[i].text, &problems);
        const IndexProblem *problem = problems->len == 0 ? NULL : g_ptr_array_index(problems, 0);

        if (index->entries->len != CASES[i].entries || (problem == NULL) != (CASES[i].line == 0) ||
            (problem != NULL && (problem->line != CASES[i].line || problems->len != 1 ||
                                 strstr(problem->message, CASES[i].message) == NULL)))
            fail_msg("case %zu: %s: %u entries, %u problems, first in line %u: %s", i, CASES[i].text,
                     index->entries->len, problems->len, problem == NULL ? 0 : problem->line,
                     problem == NULL ? "" : problem->message);
    }
}

static void
test_text_that_a_cleartext_signature_stripped_reads_the_same(void **state G_GNUC_UNUSED)
{
    static const char FULL[] = "[a]\n" REST "notes=one\n \n two\n \n   three\n \t\n\n[b]\n" REST;
    static const char STRIPPED[] = "[a]\n" REST "notes=one\n\n two\n\n   three\n\n\n[b]\n" REST;
    g_autoptr(Index) full = fixture_parse(FULL, NULL);
    g_autoptr(Index) stripped = fixture_parse(STRIPPED, NULL);
    const char *const any[] = {NULL};

    assert_int_equal(full->entries->len, 2);
    assert_string_equal(index_entry_note(fixture_entry(full, 0), any), "one\n\ntwo\n\n  three");
    assert_string_equal(index_entry_note(fixture_entry(stripped, 0), any), "one\n\ntwo\n\n  three");
}

static void
test_upper_case_digests_become_lower_case(void **state G_GNUC_UNUSED)
{
    g_autofree char *digest = g_ascii_strup(SHA512_A, -1);
    g_autofree char *text = g_strdup_printf("[a]\n" REST "checksum=%s\n", digest);
    g_autoptr(Index) index = fixture_parse(text, NULL);

    assert_string_equal(fixture_entry(index, 0)->sha512, SHA512_A);
}

static void
test_what_is_no_text_or_too_large_is_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) nul = g_bytes_new_static("[a]\0\n", 5);
    g_autoptr(GBytes) large = g_bytes_new_take(g_malloc0(INDEX_MAX_BYTES + 1), INDEX_MAX_BYTES + 1);
    g_autoptr(GError) first = NULL, second = NULL;

    assert_null(index_parse(nul, "index", NULL, &first));
    assert_non_null(strstr(first->message, "NUL"));
    assert_null(index_parse(large, "index", NULL, &second));
    assert_non_null(strstr(second->message, "larger"));
}

static void
test_problems_are_capped(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(Index) index = NULL;

    for (int i = 0; i < 100000; i++)
        g_string_append(text, "?\n");
    index = fixture_parse(text->str, &problems);
    assert_int_equal(problems->len, INDEX_MAX_PROBLEMS);
}

static void
test_a_hundred_thousand_entries_take_linear_time(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Index) index = NULL;
    gint64 start;

    for (int i = 0; i < 100000; i++)
        g_string_append_printf(text, "[image-%d]\nname=Image %d\n" REST "revision=3\nformat=raw\nnotes=x\n\n",
                               i, i);
    start = g_get_monotonic_time();
    index = fixture_parse(text->str, NULL);
    assert_int_equal(index->entries->len, 100000);
    print_message("%.2f s for %zu bytes\n", (double)(g_get_monotonic_time() - start) / 1e6, text->len);
    /* Generous: quadratic time would be minutes, and this also runs under sanitizers on a busy machine. */
    assert_true(g_get_monotonic_time() - start < 60 * G_USEC_PER_SEC);
}

static void
test_more_entries_or_fields_than_the_limits_are_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) entries = g_string_new(NULL), fields = g_string_new(NULL);
    g_autoptr(GBytes) many = NULL, wide = NULL;
    g_autoptr(GError) first = NULL, second = NULL;

    for (unsigned i = 0; i <= INDEX_MAX_ENTRIES; i++)
        g_string_append_printf(entries, "[i%u]\n" REST, i);
    many = g_bytes_new(entries->str, entries->len);
    assert_null(index_parse(many, "index", NULL, &first));
    assert_non_null(strstr(first->message, "more than"));
    for (unsigned i = 0; i <= INDEX_MAX_ALL_FIELDS / 9000; i++) {
        g_string_append_printf(fields, "[i%u]\n" REST, i);
        for (unsigned k = 0; k < 9000; k++)
            g_string_append_printf(fields, "%x=\n", k + 0xa00000);
    }
    wide = g_bytes_new(fields->str, fields->len);
    assert_null(index_parse(wide, "index", NULL, &second));
    assert_non_null(strstr(second->message, "more than"));
}

static void
test_one_section_with_very_many_fields_is_refused(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) text = g_string_new("[a]\n" REST);
    g_autoptr(GPtrArray) problems = NULL;
    g_autoptr(Index) index = NULL;

    for (int i = 0; i < 20000; i++)
        g_string_append_printf(text, "x%d=1\n", i);
    index = fixture_parse(text->str, &problems);
    assert_int_equal(index->entries->len, 0);
    assert_int_equal(problems->len, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_of_an_entry_is_read),
        cmocka_unit_test(test_a_bad_entry_is_left_out_and_named_with_its_line),
        cmocka_unit_test(test_text_that_a_cleartext_signature_stripped_reads_the_same),
        cmocka_unit_test(test_upper_case_digests_become_lower_case),
        cmocka_unit_test(test_what_is_no_text_or_too_large_is_an_error),
        cmocka_unit_test(test_problems_are_capped),
        cmocka_unit_test(test_more_entries_or_fields_than_the_limits_are_an_error),
        cmocka_unit_test(test_a_hundred_thousand_entries_take_linear_time),
        cmocka_unit_test(test_one_section_with_very_many_fields_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
