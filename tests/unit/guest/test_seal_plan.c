// SPDX-License-Identifier: Apache-2.0
/* The table of sealing operations is sound, and what is chosen and matched is what was asked for. */
#include "guest/seal_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const NO_HOMES[] = {NULL};

static void
names_are_unique_and_in_order(void **state G_GNUC_UNUSED)
{
    assert_true(seal_n_rows() <= SEAL_MAX_OPERATIONS);
    for (const SealRow *row = seal_rows(); row->name != NULL; row++) {
        assert_non_null(row->heading);
        assert_ptr_equal(seal_row(row->name), row);
        if (row[1].name != NULL && strcmp(row->name, row[1].name) >= 0)
            fail_msg("%s stands before %s", row->name, row[1].name);
    }
    assert_null(seal_row("no-such"));
}

/* A pattern goes into braces, and ends at a name: "/" or "/etc/" would take everything. */
static void
expect_sound(const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        const char *at = *list + ((*list)[0] == '~');
        const char *second = at[0] == '/' ? strchr(at + 1, '/') : NULL;

        if (at[0] != '/' || strpbrk(at, "{},~\\") != NULL || at[strlen(at) - 1] == '/' ||
            strstr(at, "//") != NULL || strstr(at, "..") != NULL || at[1] == '*')
            fail_msg("pattern '%s'", *list);
        if ((*list)[0] == '/' && second == NULL)
            fail_msg("pattern '%s' is not below a folder", *list);
    }
}

static void
patterns_are_absolute_and_below_a_folder(void **state G_GNUC_UNUSED)
{
    for (const SealRow *row = seal_rows(); row->name != NULL; row++) {
        bool is_edit = row->action == SEAL_DROP_LINES || row->action == SEAL_REPLACE;

        expect_sound(row->files);
        expect_sound(row->trees);
        expect_sound(row->kept);
        assert_true(is_edit == (row->lines != NULL));
        assert_true(!is_edit || (row->files != NULL && row->trees == NULL));
        if (row->action == SEAL_REMOVE)
            assert_true(row->files != NULL || row->trees != NULL);
    }
}

static void
the_choice_is_what_the_options_say(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *list;
        bool is_plain;
        bool has_utmp, has_firewall, has_tmp; /* default: yes, no, yes */
    } CASES[] = {
        {"utmp", false, true, false, false},
        {"utmp", true, true, false, false},
        {"defaults", false, true, false, true},
        {"all", false, true, true, true},
        {"firewall-rules,defaults,-tmp-files", false, true, true, false},
        {"all,-all", false, false, false, false},
        {"all,-defaults", false, false, true, false},
        {"-utmp", false, false, false, false},
        {"tmp-files,utmp", true, true, false, true},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        SealSet set = {0};

        assert_true(seal_set_change(&set, CASES[i].list, CASES[i].is_plain, NULL));
        assert_int_equal(seal_set_has(&set, seal_row("utmp")), CASES[i].has_utmp);
        assert_int_equal(seal_set_has(&set, seal_row("firewall-rules")), CASES[i].has_firewall);
        assert_int_equal(seal_set_has(&set, seal_row("tmp-files")), CASES[i].has_tmp);
    }
}

static void
what_is_no_operation_is_wrong_usage(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *list;
        bool is_plain;
    } CASES[] = {{"", false},   {"utmp,", false},  {"no-such", true}, {"-utmp", true},
                 {"all", true}, {"--utmp", false}, {" utmp", false}};

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = NULL;
        SealSet set = {0};

        assert_false(seal_set_change(&set, CASES[i].list, CASES[i].is_plain, &error));
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

static void
homes_come_from_passwd_and_no_system_folder_is_one(void **state G_GNUC_UNUSED)
{
    g_auto(GStrv) homes = seal_homes("root:x:0:0:root:/root:/bin/sh\n"
                                     "bob:x:1000:1000::/home/bob:/bin/sh\n"
                                     "ann:x:1001:1001::/srv/people/ann:/bin/sh\n"
                                     "again:x:1002:1002::/srv/people/ann:/bin/sh\n"
                                     "none:x:1:1::/:/bin/sh\n"
                                     "glob:x:2:2::/srv/*:/bin/sh\n"
                                     "brace:x:3:3::/a,b:/bin/sh\n"
                                     "short:x:4:4\n"
                                     "relative:x:5:5::srv:/bin/sh\n");
    g_autofree char *text = g_strjoinv(" ", homes);

    assert_string_equal(text, "/root /home/* /srv/people/ann");
}

static void
one_glob_holds_all_patterns_and_homes(void **state G_GNUC_UNUSED)
{
    static const char *const HOMES[] = {"/root", "/home/*", NULL};
    SealSet set = {0}, none = {0};
    GuestInfo info = {.distro = (char *)"debian"};
    g_autoptr(GPtrArray) patterns = NULL, nothing = NULL;
    g_autofree char *glob = NULL;

    assert_true(seal_set_change(&set, "utmp,ssh-userdir,net-nmconn,machine-id", true, NULL));
    patterns = seal_patterns(&set, &info, HOMES, false);
    glob = seal_glob(patterns);
    assert_string_equal(glob, "/{root/.ssh,home/*/.ssh,var/run/utmp}");
    nothing = seal_patterns(&none, &info, HOMES, false);
    assert_null(seal_glob(nothing));
}

static void
a_path_goes_as_its_pattern_says(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *path;
        bool is_folder;
        const char *operation; /* NULL: it stays */
    } CASES[] = {
        {"/var/log/syslog", false, "logfiles"},
        {"/var/log/syslog.d", true, NULL}, /* a folder, and logfiles are files */
        {"/var/log/journal/1", true, "logfiles"},
        {"/var/log/journal/1/system.journal", false, NULL}, /* goes with its folder */
        {"/var/log/.hidden.log", false, NULL},
        {"/tmp/.x", true, "tmp-files"},
        {"/tmp/.", true, NULL},
        {"/tmp/..", true, NULL},
        {"/var/kerberos/krb5kdc/kdc.conf", false, NULL},
        {"/var/kerberos/krb5kdc/principal", false, "kerberos-data"},
        {"/etc/pki/tls/certs/ca-bundle.crt", false, NULL},
        {"/etc/ssh/ssh_host_rsa_key", false, "ssh-hostkeys"},
        {"/etc/ssh/sshd_config", false, NULL},
        {"/etc/netplan/50-cloud-init.yaml", false, NULL}, /* this guest has no cloud-init */
        {"/etc/passwd", false, NULL},
    };
    SealSet set = {0};
    GuestInfo info = {.distro = (char *)"debian"};
    g_autoptr(GPtrArray) patterns = NULL;

    assert_true(seal_set_change(&set, "all", false, NULL));
    patterns = seal_patterns(&set, &info, NO_HOMES, false);
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        unsigned at = 0;
        const SealPattern *found = seal_match(patterns, CASES[i].path, CASES[i].is_folder, &at);

        if (g_strcmp0(found != NULL ? found->row->name : NULL, CASES[i].operation) != 0)
            fail_msg("%s: %s", CASES[i].path, found != NULL ? found->row->name : "stays");
    }
}

static void
several_edits_of_one_file_are_all_found(void **state G_GNUC_UNUSED)
{
    SealSet set = {0};
    GuestInfo info = {.distro = (char *)"fedora"};
    g_autoptr(GPtrArray) patterns = NULL;
    unsigned at = 0;
    const char *path = "/etc/sysconfig/network-scripts/ifcfg-eth0";

    seal_set_defaults(&set);
    patterns = seal_patterns(&set, &info, NO_HOMES, false);
    assert_string_equal(seal_match(patterns, path, false, &at)->row->name, "net-hostname");
    assert_string_equal(seal_match(patterns, path, false, &at)->row->name, "net-hwaddr");
    assert_null(seal_match(patterns, path, false, &at));
}

static void
operations_keep_to_their_guests(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *operation, *distro;
        bool has_cloud_init, expected;
    } CASES[] = {
        {"net-nmconn", "fedora", false, true},
        {"net-nmconn", "rocky", false, true},
        {"net-nmconn", "debian", false, false},
        {"net-nmconn", NULL, false, false},
        {"iscsi-initiator-debian", "ubuntu", false, true},
        {"iscsi-initiator", "ubuntu", false, false},
        {"iscsi-initiator", "rhel", false, true},
        {"cloud-init-network", "debian", true, true},
        {"cloud-init-network", "debian", false, false},
        {"utmp", NULL, false, true},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const GuestInfo info = {.distro = (char *)CASES[i].distro, .has_cloud_init = CASES[i].has_cloud_init};

        assert_int_equal(seal_is_for(seal_row(CASES[i].operation), &info), CASES[i].expected);
    }
}

/* What customizing was asked for must stay: keys that it injects, users that it makes. */
static void
after_customizing_only_by_products_go(void **state G_GNUC_UNUSED)
{
    static const char *const STAY[] = {"ssh-userdir", "user-account", "firewall-rules",
                                       "net-nmconn",  "cron-spool",   "customize"};
    static const char *const GO[] = {"machine-id", "random-seed", "ssh-hostkeys",
                                     "logfiles",   "tmp-files",   "package-manager-cache"};

    for (unsigned i = 0; i < G_N_ELEMENTS(STAY); i++)
        assert_false(seal_row(STAY[i])->is_remade);
    for (unsigned i = 0; i < G_N_ELEMENTS(GO); i++)
        assert_true(seal_row(GO[i])->is_remade);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_in_order),
        cmocka_unit_test(patterns_are_absolute_and_below_a_folder),
        cmocka_unit_test(the_choice_is_what_the_options_say),
        cmocka_unit_test(what_is_no_operation_is_wrong_usage),
        cmocka_unit_test(homes_come_from_passwd_and_no_system_folder_is_one),
        cmocka_unit_test(one_glob_holds_all_patterns_and_homes),
        cmocka_unit_test(a_path_goes_as_its_pattern_says),
        cmocka_unit_test(several_edits_of_one_file_are_all_found),
        cmocka_unit_test(operations_keep_to_their_guests),
        cmocka_unit_test(after_customizing_only_by_products_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
