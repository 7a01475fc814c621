// SPDX-License-Identifier: Apache-2.0
/* What starts a guest's scripts at its first boot, the runner at work in a folder of its own, and labels of new files. */
#include "guest/firstboot.h"
#include "guest/label.h"

#include "sh_syntax.h"
#include "temp_folder.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const FirstbootFile *
find(FirstbootInit init, const char *path)
{
    for (const FirstbootFile *file = firstboot_files(init); file->path != NULL; file++)
        if (strcmp(file->path, path) == 0)
            return file;
    fail_msg("init %d has no %s", init, path);
    return NULL;
}

static void
each_init_starts_the_runner_and_no_shell_stumbles(void **state G_GNUC_UNUSED)
{
    for (int init = 0; init < FIRSTBOOT_INITS; init++) {
        bool is_started = false;

        assert_non_null(firstboot_proof(init)[0]);
        for (const FirstbootFile *file = firstboot_files(init); file->path != NULL; file++) {
            assert_int_not_equal(file->text == NULL, file->link == NULL);
            if (file->text == NULL)
                assert_string_equal(find(init, file->link)->path, file->link);
            else if (g_str_has_prefix(file->text, "#!"))
                assert_shell_reads(file->text);
            is_started |= file->text != NULL && strstr(file->text, "/bin/sh " FIRSTBOOT_TOP "/run\n") != NULL;
        }
        assert_true(is_started);
    }
}

static void
systemd_waits_for_the_network_and_skips_the_unit_without_scripts(void **state G_GNUC_UNUSED)
{
    const FirstbootFile *unit = find(FIRSTBOOT_SYSTEMD, "/etc/systemd/system/virt-depot-firstboot.service");
    const FirstbootFile *wanted =
        find(FIRSTBOOT_SYSTEMD, "/etc/systemd/system/multi-user.target.wants/virt-depot-firstboot.service");

    assert_non_null(strstr(unit->text, "\nAfter=network-online.target\n"));
    assert_non_null(strstr(unit->text, "\nConditionPathExistsGlob=" FIRSTBOOT_SCRIPTS "/*\n"));
    assert_string_equal(wanted->link, unit->path);
}

/* The runner of a guest whose root is @root. */
static char *
runner_for(const char *root)
{
    GString *text = g_string_new(find(FIRSTBOOT_SYSTEMD, FIRSTBOOT_TOP "/run")->text);
    g_autofree char *top = g_strconcat(root, FIRSTBOOT_TOP, NULL);
    g_autofree char *log = g_strconcat(root, FIRSTBOOT_LOG, NULL);
    g_autofree char *etc = g_strconcat(root, "/etc/", NULL);

    g_string_replace(text, FIRSTBOOT_TOP, top, 0);
    g_string_replace(text, FIRSTBOOT_LOG, log, 0);
    g_string_replace(text, "/etc/", etc, 0);
    return g_string_free(text, FALSE);
}

static void
make_file(const char *root, const char *path, const char *text)
{
    g_autofree char *whole = g_strconcat(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(whole);

    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_true(g_file_set_contents_full(whole, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static bool
exists(const char *root, const char *path)
{
    g_autofree char *whole = g_strconcat(root, path, NULL);

    return g_file_test(whole, G_FILE_TEST_EXISTS);
}

static int
run_in(const char *root)
{
    g_autofree char *runner = runner_for(root);
    const char *argv[] = {"sh", "-c", runner, NULL};
    int status = -1;

    assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    return WEXITSTATUS(status);
}

static void
the_runner_runs_each_script_once_in_order_and_goes(void **state G_GNUC_UNUSED)
{
    const char *root = dir;
    g_autofree char *log = g_strconcat(root, FIRSTBOOT_LOG, NULL);
    g_autofree char *text = NULL, *again = NULL;
    const char *first, *failed, *last;

    make_file(root, FIRSTBOOT_SCRIPTS "/0002-fails", "#!/bin/sh\necho two; exit 7\n");
    make_file(root, FIRSTBOOT_SCRIPTS "/0003-last", "#!/bin/sh\necho three\n");
    make_file(root, FIRSTBOOT_SCRIPTS "/0001-first", "#!/bin/sh\necho one\n");
    make_file(root, "/etc/systemd/system/virt-depot-firstboot.service", "");
    make_file(root, "/var/log/wtmp", "");
    assert_int_equal(run_in(root), 1);
    assert_true(g_file_get_contents(log, &text, NULL, NULL));
    first = strstr(text, "\none\n");
    failed = strstr(text, "0002-fails: ended with status 7\n");
    last = strstr(text, "\nthree\n");
    assert_true(first != NULL && failed > first && last > failed);
    assert_false(exists(root, "/etc/systemd/system/virt-depot-firstboot.service"));
    assert_false(exists(root, FIRSTBOOT_TOP "/done/0001-first"));
    assert_true(exists(root, FIRSTBOOT_TOP "/done/0002-fails"));
    assert_int_equal(run_in(root), 0);
    assert_true(g_file_get_contents(log, &again, NULL, NULL));
    assert_string_equal(again, text);
}

static void
scripts_are_numbered_after_those_that_are_there(void **state G_GNUC_UNUSED)
{
    const char *none[] = {NULL};
    const char *two[] = {"/s/0003-a", "/d/0012-b", "/s/README", NULL};
    const char *bad[] = {"/s/99999999999999999999-x", NULL};
    g_autofree char *first = firstboot_name("install vim, g++", (char **)none);
    g_autofree char *next = firstboot_name("../../etc/passwd", (char **)two);
    g_autofree char *most = firstboot_name("x", (char **)bad);
    g_autofree char *many = g_strnfill(200, 'x');
    g_autofree char *cut = firstboot_name(many, (char **)none);

    assert_string_equal(first, "0001-install-vim--g--");
    assert_string_equal(next, "0013-..-..-etc-passwd");
    assert_string_equal(most, "9999-x");
    assert_int_equal(strlen(cut), 5 + FIRSTBOOT_NAME_MAX);
}

static void
new_files_are_labelled_by_the_longest_rule(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *path, *type;
    } table[] = {
        {"/etc/motd", "etc_t"},
        {"/etc/shadow", "shadow_t"},
        {"/etc/shadow.new", "etc_t"},
        {"/etc/hostname", "hostname_etc_t"},
        {"/etc/systemd/system/x.service", "systemd_unit_file_t"},
        {"/etc", "etc_t"},
        {"/home/bob", "user_home_dir_t"},
        {"/home/bob/notes", "user_home_t"},
        {"/home/bob/.ssh/authorized_keys", "ssh_home_t"},
        {"/root/.ssh", "ssh_home_t"},
        {"/root/x", "admin_home_t"},
        {"/usr/local/bin/tool", "bin_t"},
        {"/usr/local/share/x", "usr_t"},
        {"/var/log/x.log", "var_log_t"},
        {"/data/x", NULL},
        {"/home", NULL},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *label = label_of_path(table[i].path);
        g_autofree char *wanted =
            table[i].type != NULL ? g_strdup_printf("system_u:object_r:%s:s0", table[i].type) : NULL;

        if (g_strcmp0(label, wanted) != 0)
            fail_msg("%s: %s", table[i].path, label);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_init_starts_the_runner_and_no_shell_stumbles),
        cmocka_unit_test(systemd_waits_for_the_network_and_skips_the_unit_without_scripts),
        cmocka_unit_test_setup_teardown(the_runner_runs_each_script_once_in_order_and_goes, make_dir,
                                        remove_dir),
        cmocka_unit_test(scripts_are_numbered_after_those_that_are_there),
        cmocka_unit_test(new_files_are_labelled_by_the_longest_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
