// SPDX-License-Identifier: Apache-2.0
/* Operations that run programs, as scripts for now or for the first boot. */
#include "guest/packages.h"
#include "guest/plan.h"

#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static Plan *
plan_of(const GuestOps *ops, const char *manager, GError **error)
{
    g_autoptr(GuestInfo) info = g_new0(GuestInfo, 1);
    const GuestEdit edit = {.label = "disk.img", .ops = ops};

    info->type = g_strdup("linux");
    info->distro = g_strdup("debian");
    info->package_manager = g_strdup(manager);
    return plan_make(&edit, info, error);
}

static void
each_operation_becomes_a_script_for_now_or_for_the_first_boot(void **state G_GNUC_UNUSED)
{
    g_autofree char *file = g_build_filename(dir, "setup.py", NULL);
    const struct {
        const char *option, *argument;
        PlanKind kind;
        const char *title, *script; /* NULL: of the package manager */
        PackagesAction action;
    } table[] = {
        {"run", file, PLAN_RUN, "setup.py", "#!/usr/bin/python3\nprint()\n", 0},
        {"run-command", "echo 'a b'", PLAN_RUN, "echo 'a b'", "#!/bin/sh\necho 'a b'\n", 0},
        {"install", "vim,g++", PLAN_RUN, "vim,g++", NULL, PACKAGES_INSTALL},
        {"uninstall", "vim,g++", PLAN_RUN, "vim,g++", NULL, PACKAGES_UNINSTALL},
        {"update", NULL, PLAN_RUN, "apt", NULL, PACKAGES_UPDATE},
        {"firstboot", file, PLAN_FIRSTBOOT, "setup.py", "#!/usr/bin/python3\nprint()\n", 0},
        {"firstboot-command", "reboot", PLAN_FIRSTBOOT, "reboot", "#!/bin/sh\nreboot\n", 0},
        {"firstboot-install", "vim,g++", PLAN_FIRSTBOOT, "install vim,g++", NULL, PACKAGES_INSTALL},
    };
    const char *names[] = {"vim", "g++", NULL};
    g_autoptr(GuestOps) ops = guest_ops_new();
    g_autoptr(Plan) plan = NULL;

    assert_true(g_file_set_contents(file, "#!/usr/bin/python3\nprint()\n", -1, NULL));
    assert_false(plan_runs_now(ops));
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++)
        assert_true(guest_ops_add(ops, table[i].option, table[i].argument, NULL));
    assert_true(plan_runs_now(ops));
    plan = plan_of(ops, "apt", NULL);
    assert_int_equal(plan->ops->len, G_N_ELEMENTS(table));
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        const PlanOp *op = plan->ops->pdata[i];
        g_autofree char *packages =
            packages_script("apt", table[i].action, (char **)names, op->kind == PLAN_FIRSTBOOT, NULL);

        assert_int_equal(op->kind, table[i].kind);
        assert_string_equal(op->value, table[i].title);
        assert_string_equal(op->text, table[i].script != NULL ? table[i].script : packages);
    }
}

static void
what_runs_at_the_first_boot_needs_no_network_now(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestOps) ops = guest_ops_new();

    assert_true(guest_ops_add(ops, "firstboot-install", "vim", NULL));
    assert_true(guest_ops_add(ops, "write", "/etc/motd:x", NULL));
    assert_false(plan_runs_now(ops));
    assert_false(plan_runs_now(NULL));
    assert_true(guest_ops_add(ops, "update", NULL, NULL));
    assert_true(plan_runs_now(ops));
}

static void
packages_need_a_package_manager_that_is_known(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestOps) ops = guest_ops_new();
    g_autoptr(GError) error = NULL, usage = NULL;

    assert_true(guest_ops_add(ops, "install", "vim", NULL));
    assert_null(plan_of(ops, NULL, &error));
    assert_string_equal(error->message,
                        "disk.img: cannot install packages: the guest's package manager is not known");
    assert_false(guest_ops_add(ops, "install", "vim,--force", &usage));
    assert_true(g_error_matches(usage, BASE_ERROR, BASE_ERROR_USAGE));
    assert_string_equal(usage->message, "--install: '--force' is not the name of a package");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_operation_becomes_a_script_for_now_or_for_the_first_boot,
                                        make_dir, remove_dir),
        cmocka_unit_test(what_runs_at_the_first_boot_needs_no_network_now),
        cmocka_unit_test(packages_need_a_package_manager_that_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
