// SPDX-License-Identifier: Apache-2.0
/* Blobs: under their digest when complete, nowhere before. */
#include "store_fixture.h"

#include "base/digest.h"

#include <sys/stat.h>
#include <unistd.h>

static char *
put(Store *store, const char *content)
{
    g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;
    g_autofree char *sha512 = digest_bytes(DIGEST_SHA512, content, strlen(content));
    char *path = NULL;

    assert_true(store_upload_begin(store, &upload, NULL));
    assert_true(fd_write_all(upload.fd, content, strlen(content), "x", NULL));
    assert_true(store_upload_finish(store, &upload, sha512, &path, NULL));
    assert_null(upload.path);
    assert_int_equal(upload.fd, -1);
    return path;
}

static void
a_blob_is_named_by_its_digest(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *sha512 = digest_bytes(DIGEST_SHA512, "hello", 5);
    g_autofree char *expect = g_strdup_printf("blobs/sha512/%.2s/%s", sha512, sha512);
    g_autofree char *path = put(store, "hello");
    g_autofree char *full = g_build_filename(*state, path, NULL);
    struct stat info;

    assert_string_equal(path, expect);
    assert_int_equal(stat(full, &info), 0);
    assert_int_equal(info.st_size, 5);
    assert_int_equal(info.st_mode & 0777, 0644);
    assert_int_equal(count_unfinished(*state), 0);
}

static void
a_blob_that_is_there_stays_and_a_damaged_one_is_replaced(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *path = put(store, "hello");
    g_autofree char *full = g_build_filename(*state, path, NULL);
    struct stat before, after;

    assert_int_equal(stat(full, &before), 0);
    g_free(put(store, "hello"));
    assert_int_equal(stat(full, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(truncate(full, 2), 0);
    g_free(put(store, "hello"));
    assert_int_equal(stat(full, &after), 0);
    assert_int_equal(after.st_size, 5);
    assert_int_equal(count_unfinished(*state), 0);
}

static void
an_upload_given_up_leaves_nothing(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);

    {
        g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;

        assert_true(store_upload_begin(store, &upload, NULL));
        assert_int_equal(count_unfinished(*state), 1);
    }
    assert_int_equal(count_unfinished(*state), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, store_set_up, store_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_blob_is_named_by_its_digest),
        test(a_blob_that_is_there_stays_and_a_damaged_one_is_replaced),
        test(an_upload_given_up_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
