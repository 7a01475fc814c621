// SPDX-License-Identifier: Apache-2.0
/* What virt-customize's options say, taken apart. */
#include "guest/ops.h"

#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const GuestOp *
last(const GuestOps *ops)
{
    return ops->ops->pdata[ops->ops->len - 1];
}

static void
arguments_are_cut_at_the_first_colon(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestOps) ops = guest_ops_new();

    assert_true(guest_ops_is_empty(ops));
    assert_true(guest_ops_add(ops, "write", "/etc/motd:a:b, c", NULL));
    assert_string_equal(last(ops)->first, "/etc/motd");
    assert_string_equal(last(ops)->second, "a:b, c");
    assert_true(guest_ops_add(ops, "write", "/etc/empty:", NULL));
    assert_string_equal(last(ops)->second, "");
    assert_true(guest_ops_add(ops, "ssh-inject", "bob", NULL));
    assert_null(last(ops)->second);
    assert_true(guest_ops_add(ops, "ssh-inject", "bob:file:/k:1", NULL));
    assert_string_equal(last(ops)->second, "file:/k:1");
    assert_true(guest_ops_add(ops, "chown", "0:8:/srv/a:b", NULL));
    assert_string_equal(last(ops)->first, "0");
    assert_string_equal(last(ops)->second, "8");
    assert_string_equal(last(ops)->items[0], "/srv/a:b");
    assert_int_equal(ops->ops->len, 5);
    assert_false(guest_ops_is_empty(ops));
}

static void
lists_are_cut_at_commas_and_links_at_colons(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestOps) ops = guest_ops_new();

    assert_true(guest_ops_add(ops, "install", "vim,g++", NULL));
    assert_int_equal(g_strv_length(last(ops)->items), 2);
    assert_string_equal(last(ops)->items[1], "g++");
    assert_true(guest_ops_add(ops, "link", "/a:/b:/c", NULL));
    assert_string_equal(last(ops)->first, "/a");
    assert_int_equal(g_strv_length(last(ops)->items), 2);
    assert_string_equal(last(ops)->items[1], "/c");
}

static void
what_cannot_be_right_is_wrong_usage_and_says_what_is_expected(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *option, *argument, *expected;
    } table[] = {
        {"write", "/etc/motd", "--write: FILE:CONTENT is expected"},
        {"write", NULL, "--write: FILE:CONTENT is expected"},
        {"write", ":text", "--write: FILE:CONTENT is expected"},
        {"chown", "0:/srv", "--chown: UID:GID:PATH is expected"},
        {"install", "a,,b", "--install: PKG,PKG.. is expected"},
        {"install", "", "--install: PKG,PKG.. is expected"},
        {"link", "/a", "--link: TARGET:LINK[:LINK..] is expected"},
        {"update", "x", "--update: takes no argument"},
        {"no-such", "x", "'no-such' is not an operation on a guest"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GuestOps) ops = guest_ops_new();
        g_autoptr(GError) error = NULL;

        assert_false(guest_ops_add(ops, table[i].option, table[i].argument, &error));
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
        assert_string_equal(error->message, table[i].expected);
    }
}

static void
a_file_of_commands_has_comments_and_long_lines(void **state G_GNUC_UNUSED)
{
    static const char text[] = "# first\n\n  write /etc/motd:one \\\n    two\nupdate\nmkdir   /srv/a b";
    g_autofree char *path = g_build_filename(dir, "commands", NULL);
    g_autoptr(GuestOps) ops = guest_ops_new();
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_true(guest_ops_add_file(ops, path, NULL));
    assert_int_equal(ops->ops->len, 3);
    assert_string_equal(((GuestOp *)ops->ops->pdata[0])->second, "one two");
    assert_int_equal(((GuestOp *)ops->ops->pdata[1])->row->kind, OP_UPDATE);
    assert_string_equal(last(ops)->first, "/srv/a b");

    assert_true(g_file_set_contents(path, "update\ncommands-from-file x\n", -1, NULL));
    assert_false(guest_ops_add_file(ops, path, &error));
    assert_non_null(strstr(error->message, "line 2: a file of commands cannot name another one"));
    assert_int_equal(unlink(path), 0);
    g_clear_error(&error);
    assert_false(guest_ops_add_file(ops, path, &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_cut_at_the_first_colon),
        cmocka_unit_test(lists_are_cut_at_commas_and_links_at_colons),
        cmocka_unit_test(what_cannot_be_right_is_wrong_usage_and_says_what_is_expected),
        cmocka_unit_test(a_file_of_commands_has_comments_and_long_lines),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
