// SPDX-License-Identifier: Apache-2.0
/* Edits of hosts, shadow, authorized_keys and friends, by table. */
#include "guest/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BLOB "AAAAC3NzaC1lZDI1NTE5AAAAIKp6sD0z2gYcJYjnMsRv5dSKrCo2fwnNqmM9u1tGv0Xx"
#define BLOB2 "AAAAC3NzaC1lZDI1NTE5AAAAIOtherOtherOtherOtherOtherOtherOtherOtherOther"

static void
hosts_lines_follow_the_host_name(void **state)
{
    static const struct {
        const char *old_name, *new_name, *hosts, *expected;
    } table[] = {
        {"debian", "h1", "127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n",
         "127.0.0.1\tlocalhost\n127.0.1.1\th1\n"},
        {"debian", "h1.example.org", "127.0.1.1 debian.lan debian\n", "127.0.1.1\th1.example.org h1\n"},
        {"a.lan", "h1", "127.0.1.1 a.lan a web # mine\n", "127.0.1.1\th1 web # mine\n"},
        {"debian", "h1", "127.0.0.1 localhost debian\n", "127.0.0.1\tlocalhost h1\n"},
        {"debian", "h1", "::1 localhost\n10.0.0.5 debian\n",
         "::1 localhost\n10.0.0.5 debian\n127.0.1.1\th1\n"},
        {"debian", "h1", "#127.0.1.1 debian", "#127.0.1.1 debian\n127.0.1.1\th1\n"},
        {"deb", "h1", "127.0.1.1 debian\n", "127.0.1.1 debian\n127.0.1.1\th1\n"},
        {NULL, "h1", "127.0.1.1 whatever\n", "127.0.1.1\th1\n"},
        {"localhost", "h1", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n127.0.1.1\th1\n"},
        {"", "h1", "127.0.0.1 localhost", "127.0.0.1 localhost\n127.0.1.1\th1\n"},
        {"debian", "h1", "", "127.0.1.1\th1\n"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *text = text_set_hosts_name(table[i].hosts, table[i].old_name, table[i].new_name);
        g_autofree char *again = text_set_hosts_name(text, table[i].new_name, table[i].new_name);

        assert_string_equal(text, table[i].expected);
        assert_string_equal(again, table[i].expected);
    }
}

static void
only_the_named_user_gets_the_password(void **state)
{
    static const struct {
        const char *shadow, *expected;
    } table[] = {
        {"root:*:1:0:99999:7:::\nbin:*:1:0:::::\n", "root:$y$x:20000:0:99999:7:::\nbin:*:1:0:::::\n"},
        {"bin:*:1::::::\nroot:!!:", "bin:*:1::::::\nroot:$y$x:20000"},
        {"root:!:1:0:99999:7::18000:\n", "root:$y$x:20000:0:99999:7:::\n"},
        {"toor:*:1::::::\n", NULL},
        {"root\nroot:\n", NULL},
        {"", NULL},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *text = text_set_password(table[i].shadow, "root", "$y$x", 20000);

        if (table[i].expected == NULL)
            assert_null(text);
        else
            assert_string_equal(text, table[i].expected);
    }
}

static void
a_key_is_added_once_whatever_its_comment(void **state)
{
    static const char *const keys[] = {"ssh-ed25519 " BLOB " new", "ssh-ed25519 " BLOB " twice", NULL};
    static const struct {
        const char *old, *expected;
    } table[] = {
        {"", "ssh-ed25519 " BLOB " new\n"},
        {"ssh-ed25519 " BLOB " old\n", "ssh-ed25519 " BLOB " old\n"},
        {"no-pty ssh-ed25519 " BLOB, "no-pty ssh-ed25519 " BLOB},
        {"ssh-ed25519 " BLOB2, "ssh-ed25519 " BLOB2 "\nssh-ed25519 " BLOB " new\n"},
        {"# ssh-ed25519 " BLOB "\n", "# ssh-ed25519 " BLOB "\nssh-ed25519 " BLOB " new\n"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *text = text_add_keys(table[i].old, keys);

        assert_string_equal(text, table[i].expected);
    }
}

static void
users_are_found_by_their_whole_name(void **state)
{
    static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                                 "bob:x:1000:1001::/home/bob:/bin/sh\n"
                                 "bad:x:many:1::/:/bin/sh\nrel:x:1:1::home:/bin/sh\nshort:x:1\n"
                                 "big:x:99999999999:1::/:/bin/sh";
    static const struct {
        const char *name, *home;
        int uid, gid;
    } table[] = {{"root", "/root", 0, 0},
                 {"bob", "/home/bob", 1000, 1001},
                 {"bo", NULL},
                 {"bad", NULL},
                 {"rel", NULL},
                 {"short", NULL},
                 {"big", NULL}};

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_auto(TextUser) user = {0};

        assert_int_equal(text_find_user(passwd, table[i].name, &user), table[i].home != NULL);
        if (table[i].home == NULL)
            continue;
        assert_string_equal(user.home, table[i].home);
        assert_int_equal(user.uid, table[i].uid);
        assert_int_equal(user.gid, table[i].gid);
    }
}

static void
os_release_values_are_unquoted(void **state)
{
    static const char text[] =
        "NAME=\"A 'B'\"\nID=debian\n  VERSION_ID='12' \nBROKEN=\"x\nIDX=1\nID=last\r\n";
    static const struct {
        const char *key, *value;
    } table[] = {
        {"NAME", "A 'B'"}, {"ID", "last"}, {"VERSION_ID", "12"}, {"BROKEN", NULL}, {"VERSION", NULL}};

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *value = text_os_release(text, table[i].key);

        if (table[i].value == NULL)
            assert_null(value);
        else
            assert_string_equal(value, table[i].value);
    }
}

static void
fstab_lines_are_split_and_unescaped(void **state)
{
    g_autoptr(GPtrArray) lines =
        text_fstab("# c\nUUID=1 / ext4\n\n/dev/vdb1\t/my\\040disk xfs ro,noauto 0 2\nbad /x\n");
    TextMount *first, *second;

    (void)state;
    assert_int_equal(lines->len, 2);
    first = lines->pdata[0];
    second = lines->pdata[1];
    assert_string_equal(first->spec, "UUID=1");
    assert_string_equal(first->options, "defaults");
    assert_string_equal(second->path, "/my disk");
    assert_true(text_has_option(second->options, "noauto"));
    assert_false(text_has_option(second->options, "auto"));
}

static void
options_have_values(void **state)
{
    g_autofree char *value = text_option("rw,subvol=/@,x", "subvol");

    (void)state;
    assert_string_equal(value, "/@");
    assert_null(text_option("rw,subvolid=5", "subvol"));
    assert_true(text_has_option("rw,subvol=/@", "subvol"));
}

static void
variables_are_replaced_or_added(void **state)
{
    static const struct {
        const char *old, *expected;
    } table[] = {
        {"NETWORKING=yes\nHOSTNAME=a\n", "NETWORKING=yes\nHOSTNAME=h1\n"},
        {"NETWORKING=yes", "NETWORKING=yes\nHOSTNAME=h1\n"},
        {"", "HOSTNAME=h1\n"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *text = text_set_variable(table[i].old, "HOSTNAME", "h1");

        assert_string_equal(text, table[i].expected);
    }
}

static void
a_mountable_names_its_device(void **state G_GNUC_UNUSED)
{
    static const char *const CASES[][2] = {
        {"/dev/sda1", "/dev/sda1"},
        {"/dev/vg/root", "/dev/vg/root"},
        {"btrfsvol:/dev/sdb3/root/sub", "/dev/sdb3"},
        {"btrfsvol:/dev/sdb3", "/dev/sdb3"},
        {"btrfsvol:/dev/vg/lv/root", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *device = text_mountable_device(CASES[i][0]);

        if (g_strcmp0(device, CASES[i][1]) != 0)
            fail_msg("%s: %s", CASES[i][0], device);
    }
}

static void
a_line_is_ended_as_the_others_are(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *start;
        bool is_line_ended;
        const char *expected;
    } CASES[] = {
        {NULL, true, "new\n"},         {"a\n", true, "new\n"},           {"a", false, "\nnew\n"},
        {"a\r\nb\n", true, "new\r\n"}, {"a\r\nb", false, "\r\nnew\r\n"}, {"\n\r\n", true, "new\n"},
        {"a\r", false, "\nnew\n"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        size_t size = CASES[i].start != NULL ? strlen(CASES[i].start) : 0;
        g_autofree char *added = text_line_to_append(CASES[i].start, size, CASES[i].is_line_ended, "new");

        assert_string_equal(added, CASES[i].expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_lines_follow_the_host_name),
        cmocka_unit_test(only_the_named_user_gets_the_password),
        cmocka_unit_test(a_key_is_added_once_whatever_its_comment),
        cmocka_unit_test(users_are_found_by_their_whole_name),
        cmocka_unit_test(os_release_values_are_unquoted),
        cmocka_unit_test(fstab_lines_are_split_and_unescaped),
        cmocka_unit_test(options_have_values),
        cmocka_unit_test(variables_are_replaced_or_added),
        cmocka_unit_test(a_mountable_names_its_device),
        cmocka_unit_test(a_line_is_ended_as_the_others_are),
    };

    return cmocka_run_group_tests_name("guest/text", tests, NULL, NULL);
}
