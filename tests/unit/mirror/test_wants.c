// SPDX-License-Identifier: Apache-2.0
/* What an index needs: names that a folder can hold, each content once. */
#include "mirror/wants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    GPtrArray *files;
    GHashTable *by_key, *by_name;
} Wanted;

static int
set_up(void **state)
{
    Wanted *wanted = g_new0(Wanted, 1);

    wanted->files = g_ptr_array_new_with_free_func((GDestroyNotify)mirror_file_free);
    wanted->by_key = g_hash_table_new(g_str_hash, g_str_equal);
    wanted->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    *state = wanted;
    return 0;
}

static int
tear_down(void **state)
{
    Wanted *wanted = *state;

    g_hash_table_unref(wanted->by_key);
    g_hash_table_unref(wanted->by_name);
    g_ptr_array_unref(wanted->files);
    g_free(wanted);
    return 0;
}

/* hex: (transfer full) 128 times @digit. */
static char *
hex(char digit)
{
    return g_strnfill(128, digit);
}

static IndexEntry *
entry(const char *name, const char *file, char digit)
{
    IndexEntry *made = index_entry_new();

    made->name = g_strdup(name);
    made->arch = g_strdup("x86_64");
    made->file = g_strdup(file);
    made->size = 1 << 20;
    made->compressed_size = 1000;
    made->sha512 = hex(digit);
    return made;
}

static bool
want(Wanted *wanted, const IndexEntry *one, bool with_names, GError **error)
{
    return mirror_wants(one, with_names, wanted->files, wanted->by_key, wanted->by_name, error);
}

static void
a_name_is_decoded_and_stays_in_the_folder(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *file, *name;
    } CASES[] = {
        {"a.xz", "a.xz"},      {"./a.xz", "a.xz"}, {"a/./b", "a/b"},      {"a%20b", "a b"},
        {"a%2fb", "a/b"},      {"./././a", "a"},   {"%61", "a"},          {".", NULL},
        {"./", NULL},          {"..", NULL},       {"%2e%2e/a", NULL},    {"a/%2e%2e/b", NULL},
        {"a%2f..%2fb", NULL},  {"/a", NULL},       {"./%2fa", NULL},      {".//a", NULL},
        {"a//b", NULL},        {"%00", NULL},      {"a%", NULL},          {"a%zz", NULL},
        {"a?b", NULL},         {"a#b", NULL},      {"index.asc", NULL},   {"%69ndex.asc", NULL},
        {"./current/x", NULL}, {"a%0ab", NULL},    {".%2f.hidden", NULL}, {"", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *name = mirror_name(CASES[i].file);

        if (g_strcmp0(name, CASES[i].name) != 0)
            fail_msg("'%s': '%s'", CASES[i].file, name);
    }
}

static void
a_content_is_wanted_once_under_all_its_names(void **state)
{
    g_autoptr(IndexEntry) one = entry("one", "one.xz", 'a'), two = entry("two", "two.xz", 'a');
    const MirrorFile *file;

    assert_true(want(*state, one, true, NULL) && want(*state, two, true, NULL));
    assert_int_equal(((Wanted *)*state)->files->len, 1);
    file = g_ptr_array_index(((Wanted *)*state)->files, 0);
    assert_int_equal(file->names->len, 2);
    assert_int_equal(file->size, 1000);
}

static void
one_name_for_two_contents_is_refused(void **state)
{
    g_autoptr(IndexEntry) one = entry("one", "x.xz", 'a'), two = entry("two", "./x.xz", 'b');
    g_autoptr(GError) error = NULL;

    assert_true(want(*state, one, true, NULL));
    assert_false(want(*state, two, true, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED));
    assert_true(g_str_has_prefix(error->message, "two: "));
}

static void
blobs_that_extension_fields_name_are_wanted_with_the_size_beside_them(void **state)
{
    g_autoptr(IndexEntry) one = entry("one", "one.xz", 'a');
    g_autofree char *b = hex('b'), *c = hex('c'), *d = hex('d');
    g_autofree char *manifest = g_strdup_printf("blobs/sha512/bb/%s", b);
    g_autofree char *other = g_strdup_printf("blobs/sha512/cc/%s", c);
    g_autofree char *deeper = g_strdup_printf("blobs/sha512/dd/%s", d);
    const Wanted *wanted = *state;

    index_entry_set_extension(one, "x_manifest", manifest);
    index_entry_set_extension(one, "x_manifest_size", "4321");
    index_entry_set_extension(one, "x_later", other);
    index_entry_set_extension(one, "x_os", "debian");
    index_entry_set_extension(one, "x_part", deeper);
    ((IndexField *)g_ptr_array_index(one->extensions, 4))->subkey = g_strdup("boot");
    index_entry_set_extension(one, "x_part_size", "7"); /* that of a field without a subkey */
    assert_true(want(*state, one, true, NULL));
    assert_int_equal(wanted->files->len, 4);
    assert_string_equal(((MirrorFile *)g_ptr_array_index(wanted->files, 3))->digest, d);
    assert_int_equal(((MirrorFile *)g_ptr_array_index(wanted->files, 3))->size, 0);
    assert_int_equal(((MirrorFile *)g_ptr_array_index(wanted->files, 1))->size, 4321);
    assert_int_equal(((MirrorFile *)g_ptr_array_index(wanted->files, 2))->size, 0);
    assert_int_equal(((MirrorFile *)g_ptr_array_index(wanted->files, 2))->max_size, MIRROR_MAX_EXTRA);
}

static void
a_blob_s_name_must_be_its_digest(void **state)
{
    g_autofree char *a = hex('a'), *path = g_strdup_printf("blobs/sha512/aa/%s", a);
    g_autoptr(IndexEntry) right = entry("right", path, 'a'), wrong = entry("wrong", path, 'b');

    assert_true(want(*state, right, true, NULL));
    assert_int_equal(((MirrorFile *)g_ptr_array_index(((Wanted *)*state)->files, 0))->names->len, 0);
    assert_false(want(*state, wrong, true, NULL));
}

static void
an_image_without_a_checksum_is_refused(void **state)
{
    g_autoptr(IndexEntry) bare = entry("bare", "bare.xz", 'a');

    g_clear_pointer(&bare->sha512, g_free);
    assert_false(want(*state, bare, true, NULL));
    bare->sha256 = g_strnfill(64, 'A');
    assert_true(want(*state, bare, true, NULL));
    assert_int_equal(((MirrorFile *)g_ptr_array_index(((Wanted *)*state)->files, 0))->digest[0], 'a');
}

static void
without_names_any_name_will_do_and_signatures_stay_behind(void **state)
{
    g_autoptr(IndexEntry) one = entry("one", "index.asc", 'a');

    one->sig = g_strdup("index.asc.sig");
    assert_false(want(*state, one, true, NULL));
    g_hash_table_remove_all(((Wanted *)*state)->by_key);
    g_ptr_array_set_size(((Wanted *)*state)->files, 0);
    assert_true(want(*state, one, false, NULL));
    assert_int_equal(((Wanted *)*state)->files->len, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_decoded_and_stays_in_the_folder),
        TEST(a_content_is_wanted_once_under_all_its_names),
        TEST(one_name_for_two_contents_is_refused),
        TEST(blobs_that_extension_fields_name_are_wanted_with_the_size_beside_them),
        TEST(a_blob_s_name_must_be_its_digest),
        TEST(an_image_without_a_checksum_is_refused),
        TEST(without_names_any_name_will_do_and_signatures_stay_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
