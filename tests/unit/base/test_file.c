// SPDX-License-Identifier: Apache-2.0
/* Atomic writes, trees, locks and opening beneath a folder, on a real file system. */
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
setup(void **state)
{
    char *dir = g_strdup("/tmp/vd-file-XXXXXX");

    *state = dir;
    return g_mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    bool is_ok = file_remove_tree(*state, NULL);

    g_free(*state);
    return is_ok ? 0 : -1;
}

static unsigned
count_entries(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    unsigned n = 0;

    while (entries != NULL && g_dir_read_name(entries) != NULL)
        n++;
    return n;
}

static void
a_write_replaces_whole_and_leaves_no_temporary_file(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);
    g_autoptr(GBytes) read = NULL;
    struct stat st;

    assert_true(file_write_atomic(path, "one", 3, 0644, NULL));
    assert_true(file_write_atomic(path, "second", 6, 0600, NULL));
    read = file_read(path, 100, NULL);
    assert_int_equal(g_bytes_get_size(read), 6);
    assert_memory_equal(g_bytes_get_data(read, NULL), "second", 6);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(count_entries(*state), 1);
}

static void
a_write_that_fails_leaves_nothing(void **state)
{
    g_autofree char *folder = g_build_filename(*state, "d", NULL);
    g_autoptr(GError) error = NULL;

    assert_int_equal(mkdir(folder, 0755), 0);
    assert_false(file_write_atomic(folder, "x", 1, 0644, &error)); /* rename over a folder fails */
    assert_non_null(strstr(error->message, folder));
    assert_int_equal(count_entries(*state), 1);
}

static void
what_a_killed_writer_left_is_swept_and_a_live_ones_is_not(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);
    g_autofree char *dead = g_build_filename(*state, ".new-dead01", NULL);
    g_autofree char *live = g_build_filename(*state, ".new-live01", NULL);
    g_auto(Fd) held = -1;

    assert_true(g_file_set_contents(dead, "half", 4, NULL));
    held = file_lock(live, false, NULL);
    assert_true(file_write_atomic(path, "x", 1, 0644, NULL));
    assert_int_equal(access(dead, F_OK), -1);
    assert_int_equal(access(live, F_OK), 0);
}

static void
a_file_over_the_limit_is_refused_unread(void **state)
{
    g_autofree char *path = g_build_filename(*state, "big", NULL);
    g_autoptr(GError) error = NULL;

    assert_true(file_write_atomic(path, "12345", 5, 0644, NULL));
    assert_null(file_read(path, 4, &error));
    assert_non_null(strstr(error->message, "larger than 4 bytes"));
}

static void
nothing_outside_can_be_opened_beneath_a_folder(void **state)
{
    static const struct {
        const char *path;
        bool is_allowed;
    } rows[] = {
        {"in/file", true},   {"link-in", true},  {"in/../in/file", true}, {"../etc/passwd", false},
        {"link-out", false}, {"link-up", false}, {"/etc/passwd", false},  {"missing", false},
    };
    g_auto(Fd) root = open(*state, O_RDONLY | O_DIRECTORY);
    g_autofree char *in = g_build_filename(*state, "in", NULL);
    g_autofree char *file = g_build_filename(in, "file", NULL);

    assert_int_equal(mkdir(in, 0755), 0);
    assert_true(file_write_atomic(file, "x", 1, 0644, NULL));
    assert_int_equal(symlinkat("in/file", root, "link-in"), 0);
    assert_int_equal(symlinkat("/etc/passwd", root, "link-out"), 0);
    assert_int_equal(symlinkat("../../etc/passwd", root, "link-up"), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(Fd) fd = file_open_beneath(root, rows[i].path, O_RDONLY, NULL);

        if ((fd >= 0) != rows[i].is_allowed)
            fail_msg("%s: %s", rows[i].path, fd >= 0 ? "opened" : "refused");
    }
}

static void
a_lock_excludes_and_says_so(void **state)
{
    g_autofree char *path = g_build_filename(*state, "lock", NULL);
    g_autoptr(GError) error = NULL;
    g_auto(Fd) second = -1;

    {
        g_auto(Fd) first = file_lock(path, false, NULL);

        assert_true(first >= 0);
        assert_int_equal(file_lock(path, false, &error), -1);
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS));
    }
    second = file_lock(path, false, NULL);
    assert_true(second >= 0);
}

static void
a_tree_is_removed_without_following_links(void **state)
{
    g_autofree char *keep = g_build_filename(*state, "keep", NULL);
    g_autofree char *kept = g_build_filename(keep, "file", NULL);
    g_autofree char *tree = g_build_filename(*state, "tree", NULL);
    g_autofree char *deep = g_build_filename(tree, "a", "b", NULL);
    g_autofree char *link = g_build_filename(deep, "link", NULL);

    assert_true(file_make_dirs(keep, 0755, NULL) && file_make_dirs(deep, 0755, NULL));
    assert_true(file_write_atomic(kept, "x", 1, 0644, NULL));
    assert_int_equal(symlink(keep, link), 0);
    assert_true(file_remove_tree(tree, NULL));
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_true(file_remove_tree(tree, NULL));
}

static void
only_plain_components_are_names(void **state)
{
    static const struct {
        const char *name;
        bool is_name;
    } rows[] = {{"a", true},   {"debian-12.1", true}, {"", false},  {".", false}, {"..", false},
                {".x", false}, {"a/b", false},        {"/", false}, {NULL, false}};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        assert_int_equal(file_is_name(rows[i].name), rows[i].is_name);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_replaces_whole_and_leaves_no_temporary_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_killed_writer_left_is_swept_and_a_live_ones_is_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_over_the_limit_is_refused_unread, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_outside_can_be_opened_beneath_a_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lock_excludes_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tree_is_removed_without_following_links, setup, teardown),
        cmocka_unit_test(only_plain_components_are_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
