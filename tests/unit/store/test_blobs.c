// SPDX-License-Identifier: Apache-2.0
/* Blobs: what is one, what is listed, and that nothing else is touched. */
#include "store_fixture.h"

#include <unistd.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX HEX64 HEX64

static void
only_the_form_that_we_write_is_a_blob(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *path;
        bool is_blob;
    } CASES[] = {
        {"blobs/sha512/01/" HEX, true},
        {"blobs/sha512/02/" HEX, false},
        {"blobs/sha512/01/" HEX "0", false},
        {"blobs/sha512/01/" HEX64, false},
        {"blobs/sha512/01/../01/" HEX, false},
        {"/blobs/sha512/01/" HEX, false},
        {"blobs/sha512/01-" HEX, false},
        {"blobs/sha512/AB/ABcdef0123456789" HEX64 "abcdef0123456789abcdef0123456789abcdef0123456789", false},
        {"index", false},
        {"", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        assert_int_equal(store_is_blob(CASES[i].path), CASES[i].is_blob);
}

static char *
add_blob(Store *store, const char *sha512, const char *text)
{
    g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;
    char *path = NULL;

    assert_true(store_upload_begin(store, &upload, NULL));
    assert_true(fd_write_all(upload.fd, text, strlen(text), "upload", NULL));
    assert_true(store_upload_finish(store, &upload, sha512, &path, NULL));
    return path;
}

static void
what_was_stored_is_listed_opened_and_removed(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *first = add_blob(store, HEX, "hello");
    g_autoptr(GPtrArray) listed = NULL;
    g_autoptr(GPtrArray) after = NULL;
    g_auto(Fd) fd = -1;
    char text[5];

    write_file(*state, "blobs/sha512/01/stranger", "not a blob");
    listed = store_list_blobs(store, NULL);
    assert_int_equal(listed->len, 1);
    assert_string_equal(((StoreBlob *)g_ptr_array_index(listed, 0))->path, first);
    assert_int_equal(((StoreBlob *)g_ptr_array_index(listed, 0))->size, 5);
    fd = store_open_blob(store, first, NULL);
    assert_true(fd >= 0 && fd_pread_exact(fd, text, sizeof text, 0, "blob", NULL));
    assert_memory_equal(text, "hello", 5);
    assert_true(store_remove_blob(store, first, NULL));
    assert_true(store_remove_blob(store, first, NULL));
    after = store_list_blobs(store, NULL);
    assert_int_equal(after->len, 0);
    assert_true(exists(*state, "blobs/sha512/01/stranger"));
}

static void
nothing_outside_of_the_repository_is_opened(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *link = g_build_filename(*state, "link", NULL);

    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(store_open_blob(store, "link", NULL), -1);
    assert_int_equal(store_open_blob(store, "../../etc/passwd", NULL), -1);
    assert_int_equal(store_open_blob(store, "/etc/passwd", NULL), -1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, store_set_up, store_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(only_the_form_that_we_write_is_a_blob),
        test(what_was_stored_is_listed_opened_and_removed),
        test(nothing_outside_of_the_repository_is_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
