// SPDX-License-Identifier: Apache-2.0
/* fetch_image(): what deploying gets, also when the source no longer helps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/file.h"
#include "fetch/fetch.h"
#include "fetch/source.h"

#include <string.h>
#include <sys/stat.h>

#define SIZE 8192

/* An unsigned source "src" with the raw image "tiny": trust is other tests' business. */
static int
make_home(void **state)
{
    char *home = g_dir_make_tmp("vdXXXXXX", NULL);
    g_autofree char *uri = g_build_filename(home, "repo/index.asc", NULL);
    g_autofree char *folder = g_path_get_dirname(uri), *image = g_build_filename(folder, "tiny.raw", NULL);
    g_autofree char *index = g_build_filename(folder, "index", NULL);
    g_autofree char *content = g_strnfill(SIZE, 'x'), *digest = digest_bytes(DIGEST_SHA512, content, SIZE);
    g_autofree char *text = g_strdup_printf(
        "[tiny]\narch=x86_64\nfile=tiny.raw\nsize=%d\nchecksum[sha512]=%s\nformat=raw\nnotes=one\n", SIZE,
        digest);
    g_autoptr(Source) source = source_new("src", uri);

    g_setenv("VIRT_DEPOT_HOME", home, TRUE);
    assert_true(file_make_dirs(folder, 0755, NULL));
    assert_true(g_file_set_contents(image, content, SIZE, NULL));
    assert_true(g_file_set_contents(index, text, -1, NULL));
    source->is_unsigned = true;
    assert_true(source_write(source, NULL));
    *state = home;
    return 0;
}

static int
remove_home(void **state)
{
    file_remove_tree(*state, NULL);
    g_free(*state);
    return 0;
}

/* Replace or, with NULL, remove a file of the repository. */
static void
change(const char *home, const char *leaf, const char *text)
{
    g_autofree char *path = g_build_filename(home, "repo", leaf, NULL);

    if (text == NULL)
        assert_true(file_remove(path, NULL));
    else
        assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
test_an_image_is_pulled_and_described(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) warnings = NULL;
    g_autoptr(FetchImage) image = fetch_image("src/tiny", "amd64", false, &warnings, NULL);
    struct stat status;

    assert_non_null(image);
    assert_int_equal(warnings->len, 0);
    assert_string_equal(image->source, "src");
    assert_string_equal(image->entry->name, "tiny");
    assert_int_equal(image->virtual_size, SIZE);
    assert_int_equal(image->format, DISK_RAW);
    assert_true(g_path_is_absolute(image->path));
    assert_int_equal(stat(image->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0444);
}

static void
test_offline_only_the_cache_counts(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(FetchImage) image = NULL;

    assert_null(fetch_image("tiny", "x86_64", true, NULL, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNAVAILABLE));
    fetch_image_free(fetch_image("tiny", "x86_64", false, NULL, NULL));
    change(*state, "index", NULL);
    change(*state, "tiny.raw", NULL);
    image = fetch_image("tiny", "x86_64", true, NULL, NULL);
    assert_non_null(image);
}

static void
test_an_image_that_was_verified_before_outlives_its_index(void **state)
{
    g_autoptr(FetchImage) before = fetch_image("tiny", "x86_64", false, NULL, NULL), image = NULL;
    g_autoptr(GPtrArray) warnings = NULL;

    change(*state, "index", "# expires: 2020-01-01T00:00:00Z\n[tiny]\narch=x86_64\nfile=new\nsize=1\n");
    image = fetch_image("tiny", "x86_64", false, &warnings, NULL);
    assert_non_null(image);
    assert_string_equal(image->path, before->path);
    assert_string_equal(((const IndexNote *)g_ptr_array_index(image->entry->notes, 0))->text, "one");
    assert_true(warnings->len > 0);
    assert_non_null(strstr(g_ptr_array_index(warnings, warnings->len - 1), "expired"));
}

static void
test_an_image_that_was_withdrawn_is_not_used(void **state)
{
    g_autoptr(FetchImage) before = fetch_image("tiny", "x86_64", false, NULL, NULL);
    g_autoptr(GError) error = NULL;

    assert_non_null(before);
    change(*state, "index", "[other]\narch=x86_64\nfile=new\nsize=1\n");
    assert_null(fetch_image("tiny", "x86_64", false, NULL, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_NOT_FOUND));
}

static void
test_the_last_index_stands_in_for_a_source_that_is_away(void **state)
{
    g_autoptr(FetchImage) before = fetch_image("tiny", "x86_64", false, NULL, NULL), image = NULL;
    g_autoptr(GPtrArray) warnings = NULL;

    change(*state, "index", NULL);
    change(*state, "tiny.raw", NULL);
    image = fetch_image("tiny", "x86_64", false, &warnings, NULL);
    assert_non_null(image);
    assert_string_equal(image->path, before->path);
    assert_non_null(strstr(g_ptr_array_index(warnings, 0), "its last index"));
}

static void
test_a_damaged_cache_is_filled_anew(void **state G_GNUC_UNUSED)
{
    g_autoptr(FetchImage) before = fetch_image("tiny", "x86_64", false, NULL, NULL), image = NULL;
    struct stat status;

    assert_int_equal(chmod(before->path, 0644), 0);
    assert_true(g_file_set_contents(before->path, "short", -1, NULL));
    image = fetch_image("tiny", "x86_64", false, NULL, NULL);
    assert_non_null(image);
    assert_int_equal(stat(image->path, &status), 0);
    assert_int_equal(status.st_size, SIZE);
}

static void
test_a_wrong_image_leaves_nothing(void **state)
{
    g_autofree char *content = g_strnfill(SIZE, 'y'),
                    *images = g_build_filename(*state, "cache/images", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = NULL;

    change(*state, "tiny.raw", content);
    assert_null(fetch_image("tiny", "x86_64", false, NULL, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED));
    dir = g_dir_open(images, 0, NULL);
    assert_null(g_dir_read_name(dir));
}

int
main(void)
{
#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        IN_A_HOME(test_an_image_is_pulled_and_described),
        IN_A_HOME(test_offline_only_the_cache_counts),
        IN_A_HOME(test_an_image_that_was_verified_before_outlives_its_index),
        IN_A_HOME(test_an_image_that_was_withdrawn_is_not_used),
        IN_A_HOME(test_the_last_index_stands_in_for_a_source_that_is_away),
        IN_A_HOME(test_a_damaged_cache_is_filled_anew),
        IN_A_HOME(test_a_wrong_image_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
