// SPDX-License-Identifier: Apache-2.0
/* Names of their own: which can be, where they lead, and when they change. */
#include "store_fixture.h"

#include <unistd.h>

#define HEX_A                                                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aa"                                                                                                     \
    "aaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B                                                                                                \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" \
    "bb"                                                                                                     \
    "bbbbbbbbbbbbbbbbbbbbbbbb"

static void
only_names_that_stay_in_the_folder_and_hide_nothing_can_be(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *name;
        bool can_be;
    } CASES[] = {
        {"debian-12.xz", true},
        {"a/b/c.xz", true},
        {"with space+%25?#.xz", true},
        {"caf\xc3\xa9.xz", true},
        {"index.xz", true},
        {"sub/index", true},
        {"sub/current", true},
        {"", false},
        {"/etc/x", false},
        {"../x", false},
        {"a/../x", false},
        {"a/..", false},
        {"./x", false},
        {"a//b", false},
        {"a/", false},
        {".hidden", false},
        {"a/.hidden", false},
        {"..", false},
        {"index", false},
        {"index.asc", false},
        {"index.sig", false},
        {"keys.asc", false},
        {"trust", false},
        {"trust.sig", false},
        {"current", false},
        {"current/index", false},
        {"gen/7/index", false},
        {"blobs/sha512/x", false},
        {"a\nb", false},
        {"a\x7f", false},
        {"\x1b[2J", false},
        {"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (store_is_link_name(CASES[i].name) != CASES[i].can_be)
            fail_msg("'%s'", CASES[i].name);
}

static void
a_name_that_is_too_long_cannot_be(void **state G_GNUC_UNUSED)
{
    g_autofree char *part = g_strnfill(256, 'a');
    g_autofree char *most = g_strndup(part, 255);

    assert_true(store_is_link_name(most));
    assert_false(store_is_link_name(part));
}

/* put_blob: the file @hex with the content @text, which is not what its name says: nobody looks here. */
static void
put_blob(const char *dir, const char *hex, const char *text)
{
    g_autofree char *folder = g_strdup_printf("%s/blobs/sha512/%.2s", dir, hex);

    assert_true(file_make_dirs(folder, 0755, NULL));
    write_file(folder, hex, text);
}

static bool
publish_links(Store *store, uint64_t version, const StoreLink *links, size_t n, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new("text", 4);
    const StoreText texts[] = {{"index.asc", bytes}};

    return store_publish_links(store, version, texts, 1, links, n, error);
}

static void
expect_file(const char *dir, const char *name, const char *expected)
{
    g_autofree char *path = g_build_filename(dir, name, NULL), *text = NULL;

    if (expected == NULL) {
        assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
        return;
    }
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, expected);
}

static void
names_change_with_the_version_and_go_with_the_last_that_had_them(void **state)
{
    static const StoreLink FIRST[] = {{"a.xz", "blobs/sha512/aa/" HEX_A},
                                      {"sub/deep/b.xz", "blobs/sha512/bb/" HEX_B}};
    static const StoreLink SECOND[] = {{"a.xz", "blobs/sha512/bb/" HEX_B}};
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autoptr(GHashTable) links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    put_blob(*state, HEX_A, "A");
    put_blob(*state, HEX_B, "B");
    assert_true(publish_links(store, 1, FIRST, 2, NULL));
    expect_file(*state, "a.xz", "A");
    expect_file(*state, "sub/deep/b.xz", "B");
    assert_true(store_add_links(store, 1, links, NULL));
    assert_int_equal(g_hash_table_size(links), 2);
    assert_string_equal(g_hash_table_lookup(links, "sub/deep/b.xz"), "blobs/sha512/bb/" HEX_B);
    assert_true(store_remove_link(store, "sub/deep/b.xz", NULL));
    expect_file(*state, "sub/deep/b.xz", NULL);
    assert_true(publish_links(store, 2, SECOND, 1, NULL));
    expect_file(*state, "a.xz", "B");
    expect_file(*state, "sub/deep/b.xz", NULL);
    assert_true(store_sweep_links(store, NULL));
    assert_false(exists(*state, "sub"));
    expect_file(*state, "a.xz", "B");
    expect_file(*state, "index.asc", "text");
}

static void
a_file_that_is_also_a_folder_is_refused_and_changes_nothing(void **state)
{
    static const StoreLink LINKS[] = {{"a", "blobs/sha512/aa/" HEX_A}, {"a/b", "blobs/sha512/bb/" HEX_B}};
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autoptr(GError) error = NULL;

    assert_true(publish_text(store, 1, "one", NULL));
    assert_false(publish_links(store, 2, LINKS, 2, &error));
    assert_non_null(strstr(error->message, "'a/b'"));
    assert_int_equal(count_unfinished(*state), 0);
    assert_false(exists(*state, "a"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_names_that_stay_in_the_folder_and_hide_nothing_can_be),
        cmocka_unit_test(a_name_that_is_too_long_cannot_be),
        cmocka_unit_test_setup_teardown(names_change_with_the_version_and_go_with_the_last_that_had_them,
                                        store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_also_a_folder_is_refused_and_changes_nothing,
                                        store_set_up, store_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
