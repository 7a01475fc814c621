// SPDX-License-Identifier: Apache-2.0
/* The journal: undone when its process is dead, left alone while it lives. */
#include "base/journal.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int
setup(void **state)
{
    char *dir = g_strdup("/tmp/vd-journal-XXXXXX");

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

static bool
note_undo(const char *action, const char *argument, void *context, GError **error)
{
    g_string_append_printf(context, "%s(%s) ", action, argument);
    return strcmp(argument, "stuck") != 0 || error_set(error, "cannot undo %s", argument);
}

/* A process that records, syncs and is gone without a word, as after kill -9. */
static void
die_in_the_middle(const char *dir)
{
    pid_t pid = fork();

    if (pid == 0) {
        Journal *journal = journal_begin(dir, "deploy", NULL);

        journal_record(journal, "file", "/a");
        journal_record(journal, "domain", "u-1");
        journal_sync(journal, NULL);
        journal_record(journal, "file", "never synced");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
what_a_dead_process_recorded_is_undone_newest_first(void **state)
{
    g_autoptr(GString) undone = g_string_new(NULL);
    unsigned n = 0;

    die_in_the_middle(*state);
    assert_true(journal_recover(*state, "deploy", note_undo, undone, &n, NULL));
    assert_int_equal(n, 1);
    assert_string_equal(undone->str, "domain(u-1) file(/a) ");
    assert_true(journal_recover(*state, "deploy", note_undo, undone, &n, NULL));
    assert_int_equal(n, 0);
}

static void
a_live_process_is_left_alone(void **state)
{
    g_autoptr(GString) undone = g_string_new(NULL);
    Journal *journal = journal_begin(*state, "deploy", NULL);
    unsigned n = 0;

    journal_record(journal, "file", "/mine");
    assert_true(journal_sync(journal, NULL));
    assert_true(journal_recover(*state, "deploy", note_undo, undone, &n, NULL));
    assert_int_equal(n, 0);
    assert_true(journal_commit(journal, NULL));
    assert_string_equal(undone->str, "");
}

static void
another_operations_entries_are_not_touched(void **state)
{
    g_autoptr(GString) undone = g_string_new(NULL);
    unsigned n = 0;

    die_in_the_middle(*state);
    assert_true(journal_recover(*state, "clone", note_undo, undone, &n, NULL));
    assert_int_equal(n, 0);
}

static void
a_failed_undo_goes_on_and_keeps_the_entry(void **state)
{
    g_autoptr(GString) undone = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    Journal *journal = journal_begin(*state, "deploy", NULL);
    unsigned n = 0;

    journal_record(journal, "file", "/a");
    journal_record(journal, "file", "stuck");
    assert_true(journal_sync(journal, NULL));
    assert_false(journal_undo(journal, note_undo, undone, &error));
    assert_string_equal(error->message, "cannot undo stuck");
    assert_string_equal(undone->str, "file(stuck) file(/a) ");
    assert_false(journal_recover(*state, "deploy", note_undo, undone, &n, NULL));
    assert_int_equal(n, 1);
}

static void
a_line_cut_off_by_the_crash_is_ignored(void **state)
{
    g_autoptr(GString) undone = g_string_new(NULL);
    g_autofree char *path = g_build_filename(*state, "deploy-x", NULL);
    const char *text = "file\t/a\nfile\t/b-without-newli";
    unsigned n = 0;

    assert_true(file_write_atomic(path, text, strlen(text), 0600, NULL));
    assert_true(journal_recover(*state, "deploy", note_undo, undone, &n, NULL));
    assert_string_equal(undone->str, "file(/a) ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_dead_process_recorded_is_undone_newest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_live_process_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(another_operations_entries_are_not_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_undo_goes_on_and_keeps_the_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_cut_off_by_the_crash_is_ignored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
