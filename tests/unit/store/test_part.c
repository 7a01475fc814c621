// SPDX-License-Identifier: Apache-2.0
/* Parts: kept between their writers, one writer at a time, swept when nobody comes back. */
#include "store_fixture.h"

#include "base/digest.h"

#include <sys/stat.h>
#include <unistd.h>

static char *
digest_of(const char *content)
{
    return digest_bytes(DIGEST_SHA512, content, strlen(content));
}

static void
a_folder_for_a_push_is_empty_or_a_repository(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) empty = store_open_target(*state, &error);
    g_autoptr(Store) again = NULL;
    g_autoptr(Store) other = NULL;

    assert_non_null(empty);
    assert_false(store_has_version(empty));
    again = store_open_target(*state, &error);
    assert_non_null(again);
    assert_true(file_remove_tree(*state, NULL));
    assert_int_equal(mkdir(*state, 0755), 0);
    write_file(*state, "letter.txt", "dear");
    other = store_open_target(*state, &error);
    assert_null(other);
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS));
}

static void
a_part_is_kept_and_becomes_a_blob(void **state)
{
    g_autoptr(Store) store = store_open_target(*state, NULL);
    g_autofree char *sha512 = digest_of("hello"), *relative = store_part_path(sha512), *path = NULL;
    g_auto(StoreUpload) part = STORE_UPLOAD_NONE;
    uint64_t size;

    assert_true(store_part_open(store, sha512, &part, NULL));
    assert_true(fd_pwrite_all(part.fd, "hel", 3, 0, "x", NULL));
    store_part_close(&part);
    assert_true(exists(*state, relative));
    assert_true(store_part_open(store, sha512, &part, NULL));
    assert_true(fd_size(part.fd, "x", &size, NULL));
    assert_int_equal(size, 3);
    assert_true(fd_pwrite_all(part.fd, "lo", 2, 3, "x", NULL));
    assert_true(store_upload_finish(store, &part, sha512, &path, NULL));
    assert_true(exists(*state, path));
    assert_false(exists(*state, relative));
}

static void
one_writer_at_a_time_has_a_part(void **state)
{
    g_autoptr(Store) store = store_open_target(*state, NULL);
    g_autofree char *sha512 = digest_of("hello"), *relative = store_part_path(sha512);
    g_auto(StoreUpload) first = STORE_UPLOAD_NONE, second = STORE_UPLOAD_NONE;
    g_autoptr(GError) error = NULL;

    assert_true(store_part_open(store, sha512, &first, NULL));
    assert_false(store_part_open(store, sha512, &second, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS));
    store_upload_clear(&first);
    assert_false(exists(*state, relative));
    assert_true(store_part_open(store, sha512, &second, NULL));
}

static void
a_sweep_takes_what_is_old_and_what_nobody_writes(void **state)
{
    static const char *const CONTENTS[] = {"old", "held", "new!"};
    g_autoptr(Store) store = store_open_target(*state, NULL);
    StoreUpload parts[3];
    uint64_t bytes;

    assert_true(store_part_sweep(store, 1000, &bytes, NULL)); /* nothing there yet */
    assert_int_equal(bytes, 0);
    for (int i = 0; i < 3; i++) {
        g_autofree char *sha512 = digest_of(CONTENTS[i]);
        const struct timespec times[2] = {{.tv_sec = i == 2 ? 2000 : 500}, {.tv_sec = i == 2 ? 2000 : 500}};

        assert_true(store_part_open(store, sha512, &parts[i], NULL));
        assert_true(fd_write_all(parts[i].fd, CONTENTS[i], strlen(CONTENTS[i]), "x", NULL));
        assert_int_equal(futimens(parts[i].fd, times), 0);
        if (i != 1)
            store_part_close(&parts[i]);
    }
    assert_true(store_part_sweep(store, 1000, &bytes, NULL));
    assert_int_equal(bytes, 8);
    for (int i = 0; i < 3; i++) {
        g_autofree char *sha512 = digest_of(CONTENTS[i]), *relative = store_part_path(sha512);

        assert_int_equal(exists(*state, relative), i != 0);
    }
    store_part_close(&parts[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_for_a_push_is_empty_or_a_repository, store_set_up,
                                        store_tear_down),
        cmocka_unit_test_setup_teardown(a_part_is_kept_and_becomes_a_blob, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(one_writer_at_a_time_has_a_part, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(a_sweep_takes_what_is_old_and_what_nobody_writes, store_set_up,
                                        store_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
