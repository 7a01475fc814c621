// SPDX-License-Identifier: Apache-2.0
/* What virt-customize's options say, taken apart. */
#include "guest/ops.h"

#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKp6sD0z2gYcJYjnMsRv5dSKrCo2fwnNqmM9u1tGv0Xx me@host: 1"

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
    assert_true(guest_ops_add(ops, "ssh-inject", "bob:string:" KEY, NULL));
    assert_string_equal(last(ops)->second, "string:" KEY);
    assert_string_equal(last(ops)->content, KEY);
    assert_true(guest_ops_add(ops, "chown", "0:8:/srv/a:b", NULL));
    assert_string_equal(last(ops)->first, "0");
    assert_string_equal(last(ops)->second, "8");
    assert_string_equal(last(ops)->items[0], "/srv/a:b");
    assert_int_equal(ops->ops->len, 4);
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
        {"write", "etc/motd:x", "--write: 'etc/motd': a path in the guest must begin with '/'"},
        {"move", "/a:b", "--move: 'b': a path in the guest must begin with '/'"},
        {"link", "a:b", "--link: 'b': a path in the guest must begin with '/'"},
        {"append-line", "/a:b\nc", "--append-line: the text must be one line"},
        {"chmod", "644:/a", "--chmod: '644': permissions are octal and begin with 0: 0644"},
        {"chmod", "0999:/a", "--chmod: '0999': is not a number that can be used here"},
        {"chmod", "010000:/a", "--chmod: '010000': is not a number that can be used here"},
        {"chown", "root:0:/a", "--chown: 'root': is not a number that can be used here"},
        {"chown", "0:-1:/a", "--chown: '-1': is not a number that can be used here"},
        {"delete", "/", "--delete: the root folder of the guest cannot be deleted"},
        {"delete", "//", "--delete: the root folder of the guest cannot be deleted"},
        {"delete", "/usr/..//", "--delete: the root folder of the guest cannot be deleted"},
        {"edit", "/a:", "--edit: the expression is empty"},
        {"hostname", "-x",
         "--hostname: host name '-x': each part must be 1 to 63 letters, digits and inner hyphens"},
        {"keyboard", "de\"", "--keyboard: 'de\"': is not a keyboard layout"},
        {"timezone", "../../etc/shadow", "--timezone: '../../etc/shadow': is not a time zone"},
        {"timezone", "/etc/shadow", "--timezone: '/etc/shadow': is not a time zone"},
        {"password", "a b:random", "--password: user 'a b': is not a user name"},
        {"root-password", "secret",
         "--root-password: a password is given as file:PATH, env:NAME, password:TEXT, random, disabled, "
         "locked, or one of "
         "these after locked:"},
        {"root-password", "password:", "--root-password: root password: must be one line of 1 to 511 bytes"},
        {"root-password", "env:VIRT_DEPOT_NO_SUCH",
         "--root-password: the environment has no variable 'VIRT_DEPOT_NO_SUCH'"},
        {"ssh-inject", "root:/key", "--ssh-inject: a key is given as USER:file:PATH or USER:string:KEY"},
        {"ssh-inject", "root:string:", "--ssh-inject: the given text: holds no SSH public key"},
        {"upload", "/:/a", "--upload: /: is not a file"},
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
what_a_file_holds_is_read_at_once(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(dir, "secret", NULL);
    g_autofree char *password = g_strconcat("bob:locked:file:", path, NULL);
    g_autofree char *keys = g_strconcat("bob:file:", path, NULL);
    g_autofree char *binary = g_strconcat(path, ".sh", NULL);
    g_autoptr(GuestOps) ops = guest_ops_new();
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(path, "s3cret word\r\nsecond\n", -1, NULL));
    assert_int_equal(chmod(path, 0640), 0);
    assert_false(guest_ops_add(ops, "password", password, &error));
    assert_non_null(strstr(error->message, "that nobody else can read: chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(guest_ops_add(ops, "password", password, NULL));
    assert_string_equal(last(ops)->content, "s3cret word");
    assert_true(last(ops)->is_locked);

    assert_true(g_file_set_contents(path, "# mine\n\n" KEY "\n" KEY "\n", -1, NULL));
    assert_true(guest_ops_add(ops, "ssh-inject", keys, NULL));
    assert_string_equal(last(ops)->content, KEY "\n" KEY);
    assert_true(g_file_set_contents(path, KEY "\nno key\n", -1, NULL));
    g_clear_error(&error);
    assert_false(guest_ops_add(ops, "ssh-inject", keys, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));

    assert_true(g_file_set_contents(binary, "\177ELF\0", 5, NULL));
    g_clear_error(&error);
    assert_false(guest_ops_add(ops, "run", binary, &error));
    assert_non_null(strstr(error->message, "holds a zero byte"));
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
        cmocka_unit_test(what_a_file_holds_is_read_at_once),
        cmocka_unit_test(a_file_of_commands_has_comments_and_long_lines),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
