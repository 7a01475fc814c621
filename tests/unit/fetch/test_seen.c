// SPDX-License-Identifier: Apache-2.0
/* What was seen of a repository, and what that says of the index at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/file.h"
#include "fetch/seen.h"

#include <string.h>

#define A "0123456789ABCDEF0123456789ABCDEF01234567"
#define B "0123456789ABCDEF0123456789ABCDEF01234568"
#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define OTHER_ID "0f8fad5b-d9cb-469f-a165-70867728950f"

static int
make_home(void **state)
{
    char *home = g_dir_make_tmp("vdXXXXXX", NULL);

    g_setenv("VIRT_DEPOT_HOME", home, TRUE);
    *state = home;
    return 0;
}

static int
remove_home(void **state)
{
    file_remove_tree(*state, NULL);
    g_free(*state);
    return 0;
}

static DoorIndex
opened_new(const char *id, uint64_t version, const char *pin, char content)
{
    DoorIndex opened = {.index = index_new(), .pin = g_strdup(pin), .digest = g_strnfill(128, content)};

    opened.index->repo_id = g_strdup(id);
    opened.index->version = version;
    return opened;
}

static void
every_pinned_key_counts_and_no_other(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *what, *id;
        uint64_t version;
        const char *pin;
        char content;
        const char *pins[3];
        SeenVerdict expect;
        uint64_t highest;
    } ROWS[] = {
        /* version 7 by A and version 9 by B were seen before, both with content 'a' */
        {"a newer one", ID, 10, A, 'a', {A, B}, SEEN_NEW, 9},
        {"the same again", ID, 7, A, 'a', {A}, SEEN_SAME, 7},
        {"an older one", ID, 6, A, 'a', {A}, SEEN_OLDER, 7},
        {"the same version with other content", ID, 7, A, 'b', {A}, SEEN_OTHER, 7},
        {"older than what another pinned key signed", ID, 8, A, 'a', {A, B}, SEEN_OLDER, 9},
        {"the same version, other content, another key", ID, 9, A, 'b', {A, B}, SEEN_OTHER, 9},
        {"a key that is no longer pinned went further", ID, 8, A, 'a', {A}, SEEN_NEW, 7},
        {"another repository", OTHER_ID, 1, A, 'a', {A, B}, SEEN_NEW, 0},
        {"without an id", NULL, 1, A, 'b', {A, B}, SEEN_NEW, 0},
        {"unsigned", ID, 1, NULL, 'b', {NULL}, SEEN_NEW, 0},
    };
    g_auto(DoorIndex) by_a = opened_new(ID, 7, A, 'a');
    g_auto(DoorIndex) by_b = opened_new(ID, 9, B, 'a');

    assert_true(seen_record(&by_a, NULL));
    assert_true(seen_record(&by_b, NULL));
    by_b.index->version = 2; /* a lower one changes nothing */
    assert_true(seen_record(&by_b, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_auto(DoorIndex) opened = opened_new(ROWS[i].id, ROWS[i].version, ROWS[i].pin, ROWS[i].content);
        SeenVerdict verdict;
        uint64_t highest;

        assert_true(seen_judge(&opened, ROWS[i].pins, &verdict, &highest, NULL));
        if (verdict != ROWS[i].expect || highest != ROWS[i].highest)
            fail_msg("%s: %d, %u", ROWS[i].what, (int)verdict, (unsigned)highest);
    }
}

static void
a_damaged_record_is_no_reason_to_forget(void **state)
{
    g_auto(DoorIndex) opened = opened_new(ID, 7, A, 'a');
    const char *pins[] = {A, NULL};
    g_autofree char *record = g_strdup_printf("%s/state/seen/" ID "." A, (const char *)*state);
    g_autoptr(GError) error = NULL;
    SeenVerdict verdict;
    uint64_t highest;

    assert_true(seen_record(&opened, NULL));
    assert_true(g_file_set_contents(record, "rubbish\n", -1, NULL));
    assert_false(seen_judge(&opened, pins, &verdict, &highest, &error));
    assert_non_null(strstr(error->message, record));
}

int
main(void)
{
#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        IN_A_HOME(every_pinned_key_counts_and_no_other),
        IN_A_HOME(a_damaged_record_is_no_reason_to_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
