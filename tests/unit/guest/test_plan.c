// SPDX-License-Identifier: Apache-2.0
/* What an edit means for each family of distributions, and what is refused before anything starts. */
#include "guest/layout.h"
#include "guest/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKp6sD0z2gYcJYjnMsRv5dSKrCo2fwnNqmM9u1tGv0Xx me@host"

static GuestInfo *
guest(const char *type, const char *distro, int major)
{
    GuestInfo *info = g_new0(GuestInfo, 1);

    info->type = g_strdup(type);
    info->distro = g_strdup(distro);
    info->major = major;
    return info;
}

static bool
is_usage_error(const GuestEdit *edit)
{
    g_autoptr(GError) error = NULL;

    return !plan_check(edit, &error) && g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE);
}

static void
host_names_follow_rfc_1123(void **state)
{
    static const char label63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        const char *name;
        bool is_good;
    } table[] = {
        {"h1", true},
        {"web-1.example.org", true},
        {"3com", true},
        {label63, true},
        {"A", true},
        {"", false},
        {"-a", false},
        {"a-", false},
        {"a..b", false},
        {"a.", false},
        {"a_b", false},
        {"a b", false},
        {"a\nb", false},
        {"h\xc3\xa4", false},
        {"a/b", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        GuestEdit edit = {.hostname = table[i].name};

        assert_int_equal(is_usage_error(&edit), !table[i].is_good);
    }
}

static void
keys_users_and_passwords_are_checked(void **state)
{
    static const struct {
        const char *key, *user, *password;
        bool is_good;
    } table[] = {
        {KEY, NULL, NULL, true},
        {"from=\"10.0.0.1\" " KEY, "bob", "x", true},
        {"ssh-ed25519", NULL, NULL, false},
        {"-----BEGIN OPENSSH PRIVATE KEY-----", NULL, NULL, false},
        {KEY "\n" KEY, NULL, NULL, false},
        {"", NULL, NULL, false},
        {NULL, "a:b", NULL, false},
        {NULL, "../root", NULL, false},
        {NULL, "", NULL, false},
        {NULL, NULL, "", false},
        {NULL, NULL, "two\nlines", false},
        {NULL, NULL, "p\xc3\xa4ss: word", true},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        const char *keys[] = {table[i].key, NULL};
        GuestEdit edit = {
            .ssh_keys = table[i].key != NULL ? keys : NULL,
            .ssh_user = table[i].user,
            .root_password = table[i].password,
        };

        assert_int_equal(is_usage_error(&edit), !table[i].is_good);
    }
}

/* summary: the plan as "KIND PATH" words, which a table can state */
static char *
summary(const Plan *plan)
{
    static const char *const KINDS[] = {
        [PLAN_WRITE] = "write",       [PLAN_REPLACE] = "replace",   [PLAN_LINK] = "link",
        [PLAN_ENABLE] = "enable",     [PLAN_REMOVE] = "remove",     [PLAN_HOSTS_NAME] = "hosts",
        [PLAN_SET_VARIABLE] = "set",  [PLAN_SSH_KEYS] = "ssh-keys", [PLAN_PASSWORD] = "password",
        [PLAN_EXPECT] = "expect",     [PLAN_SYMLINK] = "symlink",   [PLAN_APPEND_LINE] = "append",
        [PLAN_CHMOD] = "chmod",       [PLAN_CHOWN] = "chown",       [PLAN_COPY] = "copy",
        [PLAN_COPY_IN] = "copy-in",   [PLAN_COPY_OUT] = "copy-out", [PLAN_DELETE] = "delete",
        [PLAN_EDIT] = "edit",         [PLAN_MKDIR] = "mkdir",       [PLAN_MOVE] = "move",
        [PLAN_SCRUB] = "scrub",       [PLAN_TAR_IN] = "tar-in",     [PLAN_TOUCH] = "touch",
        [PLAN_TRUNCATE] = "truncate", [PLAN_UPLOAD] = "upload",     [PLAN_TRUNCATE_ALL] = "truncate-all",
    };
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < plan->ops->len; i++) {
        const PlanOp *op = plan->ops->pdata[i];

        g_string_append_printf(out, "%s%s %s", i > 0 ? ", " : "", KINDS[op->kind],
                               op->kind == PLAN_REMOVE ? "*"
                               : op->path != NULL      ? op->path
                                                       : op->text);
    }
    return g_string_free(out, FALSE);
}

static void
the_host_name_lands_where_the_distribution_looks(void **state)
{
    static const struct {
        const char *distro;
        int major;
        const char *expected;
    } table[] = {
        {"debian", 12, "write /etc/hostname, hosts /etc/hosts"},
        {"ubuntu", 22, "write /etc/hostname, hosts /etc/hosts"},
        {"fedora", 40, "write /etc/hostname"},
        {"centos", 6, "set /etc/sysconfig/network"},
        {"rhel", 9, "write /etc/hostname"},
        {"opensuse-leap", 15, "write /etc/hostname, replace /etc/HOSTNAME"},
        {"alpine", 3, "write /etc/hostname"},
        {NULL, 0, "write /etc/hostname"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GuestInfo) info = guest("linux", table[i].distro, table[i].major);
        GuestEdit edit = {.label = "vm", .hostname = "h1"};
        g_autoptr(Plan) plan = plan_make(&edit, info, NULL);
        g_autofree char *text = summary(plan);

        assert_string_equal(text, table[i].expected);
    }
}

static void
only_debians_without_cloud_init_get_a_unit_for_host_keys(void **state)
{
    static const char fresh[] = "remove *, replace /etc/machine-id, link /var/lib/dbus/machine-id";
    static const char unit[] =
        ", enable /etc/systemd/system/multi-user.target.wants/virt-depot-ssh-keys.service"
        ", write /etc/systemd/system/virt-depot-ssh-keys.service";
    static const struct {
        const char *distro;
        bool has_cloud_init, has_unit;
    } table[] = {{"debian", false, true}, {"debian", true, false}, {"fedora", false, false}};

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GuestInfo) info = guest("linux", table[i].distro, 40);
        GuestEdit edit = {.label = "vm", .fresh_identity = true};
        g_autofree char *expected = g_strconcat(fresh, table[i].has_unit ? unit : "", NULL);
        g_autoptr(Plan) plan = NULL;
        g_autofree char *text = NULL;

        info->has_cloud_init = table[i].has_cloud_init;
        plan = plan_make(&edit, info, NULL);
        text = summary(plan);
        assert_string_equal(text, expected);
    }
}

static void
the_password_comes_last_and_is_hashed(void **state)
{
    static const char *const keys[] = {KEY, NULL};
    g_autoptr(GuestInfo) info = guest("linux", "debian", 12);
    GuestEdit edit = {.label = "vm", .root_password = "pw", .ssh_keys = keys, .ssh_user = "bob"};
    g_autoptr(Plan) plan = plan_make(&edit, info, NULL);
    g_autofree char *text = summary(plan);
    const PlanOp *last = plan->ops->pdata[plan->ops->len - 1];

    (void)state;
    assert_string_equal(text, "ssh-keys bob, password /etc/shadow");
    assert_true(g_str_has_prefix(last->value, "$y$"));
}

static char *
plan_of(const GuestOps *ops, const GuestInfo *info)
{
    GuestEdit edit = {.label = "vm", .ops = ops};
    g_autoptr(Plan) plan = plan_make(&edit, info, NULL);

    return plan != NULL ? summary(plan) : NULL;
}

static void
each_operation_has_its_plan_for_the_distribution(void **state)
{
    static const struct {
        const char *option, *argument, *distro, *expected;
    } table[] = {
        {"append-line", "/a:b", "debian", "append /a"},
        {"chmod", "0640:/a", "debian", "chmod /a"},
        {"chown", "1:2:/a", "debian", "chown /a"},
        {"copy", "/a:/b", "debian", "copy /a"},
        {"copy-in", "/dev/null:/b", "debian", "copy-in /b"},
        {"copy-out", "/a:/tmp", "debian", "copy-out /a"},
        {"delete", "/a*", "debian", "delete /a*"},
        {"disable-cloud-init", NULL, "debian", "mkdir /etc/cloud, write /etc/cloud/cloud-init.disabled"},
        {"drop-host-keys", NULL, "fedora", "remove *"},
        {"edit", "/a:s/a/b/", "debian", "edit /a"},
        {"hostname", "h1", "fedora", "write /etc/hostname"},
        {"keyboard", "de", "debian", "set /etc/default/keyboard"},
        {"keyboard", "de", "fedora", "set /etc/vconsole.conf"},
        {"link", "/a:/b:/c", "debian", "symlink /b, symlink /c"},
        {"mkdir", "/a", "debian", "mkdir /a"},
        {"move", "/a:/b", "debian", "move /a"},
        {"password", "bob:password:x", "debian", "password /etc/shadow"},
        {"root-password", "disabled", "debian", "password /etc/shadow"},
        {"scrub", "/a", "debian", "scrub /a"},
        {"ssh-inject", "bob:string:" KEY, "debian", "ssh-keys bob"},
        {"tar-in", VD_SOURCE_DIR "/CMakeLists.txt:/b", "debian", "tar-in /b"},
        {"timezone", "Europe/Berlin", "debian",
         "expect /usr/share/zoneinfo/Europe/Berlin, symlink /etc/localtime, write /etc/timezone"},
        {"timezone", "UTC", "fedora",
         "expect /usr/share/zoneinfo/UTC, symlink /etc/localtime, replace /etc/timezone"},
        {"touch", "/a", "debian", "touch /a"},
        {"truncate", "/a", "debian", "truncate /a"},
        {"truncate-recursive", "/a", "debian", "truncate-all /a"},
        {"upload", VD_SOURCE_DIR "/CMakeLists.txt:/b", "debian", "upload /b"},
        {"write", "/a:b", "debian", "write /a"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GuestOps) ops = guest_ops_new();
        g_autoptr(GuestInfo) info = guest("linux", table[i].distro, 12);
        g_autofree char *text = NULL;

        assert_true(guest_ops_add(ops, table[i].option, table[i].argument, NULL));
        text = plan_of(ops, info);
        assert_string_equal(text, table[i].expected);
    }
}

static void
operations_keep_their_order_but_for_passwords(void **state)
{
    g_autoptr(GuestOps) ops = guest_ops_new();
    g_autoptr(GuestInfo) info = guest("linux", "debian", 12);
    g_autofree char *text = NULL;

    (void)state;
    assert_true(guest_ops_add(ops, "root-password", "random", NULL));
    assert_true(guest_ops_add(ops, "write", "/b:1", NULL));
    assert_true(guest_ops_add(ops, "mkdir", "/a", NULL));
    text = plan_of(ops, info);
    assert_string_equal(text, "write /b, mkdir /a, password /etc/shadow");
}

static void
a_password_is_given_made_disabled_or_locked(void **state)
{
    static const struct {
        const char *selector, *start;
        bool is_made;
    } table[] = {
        {"password:x", "$y$", false},     {"random", "$y$", true},
        {"disabled", "*", false},         {"locked", "!*", false},
        {"locked:disabled", "!*", false}, {"locked:password:x", "!$y$", false},
        {"locked:random", "!$y$", true},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GuestOps) ops = guest_ops_new();
        g_autoptr(GuestInfo) info = guest("linux", "debian", 12);
        GuestEdit edit = {.label = "vm", .ops = ops};
        g_autofree char *argument = g_strconcat("bob:", table[i].selector, NULL);
        g_autoptr(Plan) plan = NULL;
        const PlanOp *op;

        assert_true(guest_ops_add(ops, "password", argument, NULL));
        plan = plan_make(&edit, info, NULL);
        op = plan->ops->pdata[0];
        assert_string_equal(op->text, "bob");
        assert_true(g_str_has_prefix(op->value, table[i].start));
        assert_int_equal(plan->passwords->len, table[i].is_made);
        if (table[i].is_made)
            assert_int_equal(strlen(((const PlanPassword *)plan->passwords->pdata[0])->password), 16);
    }
}

static void
other_systems_are_refused(void **state)
{
    g_autoptr(GuestInfo) info = guest("windows", NULL, 0);
    GuestEdit edit = {.label = "vm", .hostname = "h1"};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_null(plan_make(&edit, info, &error));
    assert_string_equal(error->message, "vm: guests of type 'windows' cannot be customized");
}

static void
devices_move_to_the_disk_at_hand(void **state)
{
    static const struct {
        const char *device, *to, *expected;
    } table[] = {
        {"/dev/sda2", "/dev/sdc", "/dev/sdc2"},
        {"/dev/sda", "/dev/sdb", "/dev/sdb"},
        {"btrfsvol:/dev/sda3/@", "/dev/sdb", "btrfsvol:/dev/sdb3/@"},
        {"/dev/vg/root", "/dev/sdb", "/dev/vg/root"},
        {"/dev/sdavg/root", "/dev/sdb", "/dev/sdavg/root"},
    };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *device = layout_device(table[i].device, "/dev/sda", table[i].to);

        assert_string_equal(device, table[i].expected);
    }
}

static void
an_edit_that_asks_for_nothing_needs_no_appliance(void **state)
{
    static const char *const none[] = {NULL};
    GuestEdit edit = {.path = "/x", .label = "vm", .ssh_keys = none, .ssh_user = "bob"};

    (void)state;
    assert_false(guest_edit_needs_appliance(&edit));
    edit.grow = true;
    assert_true(guest_edit_needs_appliance(&edit));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_names_follow_rfc_1123),
        cmocka_unit_test(keys_users_and_passwords_are_checked),
        cmocka_unit_test(the_host_name_lands_where_the_distribution_looks),
        cmocka_unit_test(only_debians_without_cloud_init_get_a_unit_for_host_keys),
        cmocka_unit_test(the_password_comes_last_and_is_hashed),
        cmocka_unit_test(each_operation_has_its_plan_for_the_distribution),
        cmocka_unit_test(operations_keep_their_order_but_for_passwords),
        cmocka_unit_test(a_password_is_given_made_disabled_or_locked),
        cmocka_unit_test(other_systems_are_refused),
        cmocka_unit_test(devices_move_to_the_disk_at_hand),
        cmocka_unit_test(an_edit_that_asks_for_nothing_needs_no_appliance),
    };

    return cmocka_run_group_tests_name("guest/plan", tests, NULL, NULL);
}
