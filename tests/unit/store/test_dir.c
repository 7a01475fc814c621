// SPDX-License-Identifier: Apache-2.0
/* Opening, making and locking repositories, and cleaning up after the dead. */
#include "store_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static void
a_new_repository_can_be_taken_up_until_it_is_complete(void **state)
{
    g_autofree char *dir = g_build_filename(*state, "r", NULL);

    for (int i = 0; i < 3; i++) {
        g_autoptr(Store) store = store_create(dir, NULL);

        assert_non_null(store);
        assert_null(store_open(dir, NULL));
    }
    {
        g_autoptr(Store) store = store_create(dir, NULL);
        g_autoptr(GError) error = NULL;

        assert_true(publish_text(store, 1, "one", NULL));
        assert_null(store_create(dir, &error));
        assert_int_equal(error->code, BASE_ERROR_EXISTS);
    }
    {
        g_autoptr(Store) store = store_open(dir, NULL);

        assert_non_null(store);
        assert_string_equal(store_location(store), dir);
    }
}

static void
a_folder_in_use_is_left_alone(void **state)
{
    g_autoptr(GError) error = NULL;

    write_file(*state, "letter", "dear");
    assert_null(store_create(*state, &error));
    assert_int_equal(error->code, BASE_ERROR_EXISTS);
    assert_non_null(strstr(error->message, "it holds 'letter'"));
    assert_false(exists(*state, ".lock"));
}

static void
no_repository_is_not_found(void **state)
{
    g_autofree char *absent = g_build_filename(*state, "absent", NULL);
    const char *const LOCATIONS[] = {*state, absent};

    for (size_t i = 0; i < G_N_ELEMENTS(LOCATIONS); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(store_open(LOCATIONS[i], &error));
        assert_int_equal(error->code, BASE_ERROR_NOT_FOUND);
    }
}

static void
two_publishers_exclude_each_other(void **state)
{
    g_autoptr(Store) first = store_create(*state, NULL);
    g_autoptr(Store) second = NULL;
    g_autoptr(GError) error = NULL;

    assert_true(publish_text(first, 1, "one", NULL));
    second = store_open(*state, NULL);
    assert_false(store_lock(second, false, &error));
    assert_int_equal(error->code, BASE_ERROR_EXISTS);
    assert_non_null(strstr(error->message, "another virt-depot is publishing here"));
    store_unlock(first);
    assert_true(store_lock(second, false, NULL));
}

static void
the_lock_cleans_up_after_the_dead_and_spares_the_living(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autoptr(Store) other = NULL;
    g_auto(StoreUpload) live = STORE_UPLOAD_NONE;
    g_autofree char *folder = g_build_filename(*state, ".tmp-gen-dead", NULL);
    g_autofree char *link = g_build_filename(*state, ".tmp-current", NULL);

    assert_true(publish_text(store, 1, "one", NULL));
    store_unlock(store);
    assert_true(store_upload_begin(store, &live, NULL));
    write_file(*state, ".tmp-upload-dead00", "half");
    assert_int_equal(mkdir(folder, 0700), 0);
    write_file(folder, "index", "half");
    assert_int_equal(symlink("gen/7", link), 0);
    other = store_open(*state, NULL);
    assert_true(store_lock(other, false, NULL));
    assert_int_equal(count_unfinished(*state), 1);
    assert_true(g_file_test(live.path, G_FILE_TEST_EXISTS));
}

static void
private_notes_are_kept_and_private(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *path = g_build_filename(*state, ".virt-depot/notes.json", NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;
    struct stat info;

    assert_null(store_read_private(store, "notes.json", 100, &error));
    assert_int_equal(error->code, BASE_ERROR_NOT_FOUND);
    assert_true(store_write_private(store, "notes.json", "one", 3, NULL));
    assert_true(store_write_private(store, "notes.json", "two", 3, NULL));
    bytes = store_read_private(store, "notes.json", 100, NULL);
    assert_memory_equal(g_bytes_get_data(bytes, NULL), "two", 3);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(count_unfinished(*state), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, store_set_up, store_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_new_repository_can_be_taken_up_until_it_is_complete),
        test(a_folder_in_use_is_left_alone),
        test(no_repository_is_not_found),
        test(two_publishers_exclude_each_other),
        test(the_lock_cleans_up_after_the_dead_and_spares_the_living),
        test(private_notes_are_kept_and_private),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
