// SPDX-License-Identifier: Apache-2.0
/* Undoing removes what was recorded, and nothing else that came to stand under its name. */
#include "deploy/undo.h"

#include "base/file.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static char *
in_dir(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* A journal with a staging folder that holds disk "vm", recorded to be moved to DIR/vm. */
static Journal *
begin(char **out_staged, char **out_final)
{
    g_autofree char *journal_dir = in_dir("journal");
    g_autofree char *staging = in_dir(".virt-depot-1234");
    Journal *journal = journal_begin(journal_dir, "deploy", NULL);

    assert_non_null(journal);
    assert_true(file_make_dirs(staging, 0700, NULL));
    deploy_undo_record_folder(journal, staging);
    *out_staged = g_build_filename(staging, "vm", NULL);
    *out_final = in_dir("vm");
    assert_true(g_file_set_contents(*out_staged, "ours", -1, NULL));
    assert_true(deploy_undo_record_move(journal, *out_staged, *out_final, NULL));
    assert_true(journal_sync(journal, NULL));
    return journal;
}

static void
undo(Journal *journal)
{
    Undo context = {NULL, NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *staging = in_dir(".virt-depot-1234");

    if (!journal_undo(journal, deploy_undo_action, &context, &error))
        fail_msg("%s", error->message);
    assert_int_equal(access(staging, F_OK), -1);
}

static void
a_disk_is_removed_before_and_after_it_was_moved(void **state G_GNUC_UNUSED)
{
    for (int is_moved = 0; is_moved < 2; is_moved++) {
        g_autofree char *staged = NULL, *final = NULL;
        Journal *journal = begin(&staged, &final);

        if (is_moved)
            assert_int_equal(rename(staged, final), 0);
        undo(journal);
        assert_int_equal(access(final, F_OK), -1);
    }
}

static void
somebody_elses_file_of_that_name_stays(void **state G_GNUC_UNUSED)
{
    g_autofree char *staged = NULL, *final = NULL;
    Journal *journal = begin(&staged, &final);

    assert_true(g_file_set_contents(final, "theirs", -1, NULL));
    undo(journal);
    assert_int_equal(access(final, F_OK), 0);
    unlink(final);
}

static void
a_folder_that_is_not_a_staging_folder_stays(void **state G_GNUC_UNUSED)
{
    Undo context = {NULL, NULL};
    g_autoptr(GError) error = NULL;

    assert_false(deploy_undo_action("folder", dir, &context, &error));
    assert_int_equal(access(dir, F_OK), 0);
    assert_false(deploy_undo_action("folder", ".virt-depot-relative", &context, NULL));
    assert_false(deploy_undo_action("unknown", "x y", &context, NULL));
}

static void
undoing_twice_succeeds(void **state G_GNUC_UNUSED)
{
    Undo context = {NULL, NULL};
    g_autofree char *staging = in_dir(".virt-depot-gone");

    assert_true(deploy_undo_action("folder", staging, &context, NULL));
    assert_true(deploy_undo_action("file", "1:2:3:4.5 /nonexistent/vm", &context, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_removed_before_and_after_it_was_moved),
        cmocka_unit_test(somebody_elses_file_of_that_name_stays),
        cmocka_unit_test(a_folder_that_is_not_a_staging_folder_stays),
        cmocka_unit_test(undoing_twice_succeeds),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
