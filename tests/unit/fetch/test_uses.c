// SPDX-License-Identifier: Apache-2.0
/* Noted disks that are there, that were removed, and those of which that cannot be told. */
#include "fetch/uses.h"

#include "base/file.h"
#include "base/paths.h"
#include "disk/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "ab"
#define OTHER_ID "cd"

/* The image, and a linked clone of it that was noted. */
typedef struct {
    char *home, *image, *folder, *disk, *notes;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *cache = NULL, *images = NULL;

    fixture->home = g_dir_make_tmp("vdXXXXXX", NULL);
    g_setenv("VIRT_DEPOT_HOME", fixture->home, TRUE);
    cache = path_cache();
    fixture->image = g_build_filename(cache, "images", ID ".raw", NULL);
    fixture->notes = g_build_filename(cache, "uses", ID, NULL);
    fixture->folder = g_build_filename(fixture->home, "vms", NULL);
    fixture->disk = g_build_filename(fixture->folder, "vm.qcow2", NULL);
    *state = fixture;
    images = g_path_get_dirname(fixture->image);
    return !file_make_dirs(images, 0755, NULL) || !file_make_dirs(fixture->folder, 0755, NULL) ||
           !g_file_set_contents(fixture->image, "data", -1, NULL) || truncate(fixture->image, 1 << 20) < 0 ||
           !uses_note(ID, fixture->disk, NULL) ||
           !disk_overlay_create(fixture->disk, fixture->image, DISK_RAW, 1 << 20, NULL);
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    file_remove_tree(fixture->home, NULL);
    g_free(fixture->home);
    g_free(fixture->image);
    g_free(fixture->folder);
    g_free(fixture->disk);
    g_free(fixture->notes);
    g_free(fixture);
    return 0;
}

/* The one note of the fixture. */
static char *
note_of(const Fixture *fixture)
{
    g_autoptr(GDir) dir = g_dir_open(fixture->notes, 0, NULL);

    return g_build_filename(fixture->notes, g_dir_read_name(dir), NULL);
}

static void
nothing(const Fixture *fixture G_GNUC_UNUSED)
{
}

static void
remove_disk(const Fixture *fixture)
{
    assert_int_equal(unlink(fixture->disk), 0);
}

static void
rename_disk(const Fixture *fixture)
{
    g_autofree char *name = g_build_filename(fixture->folder, "other.qcow2", NULL);

    assert_int_equal(rename(fixture->disk, name), 0);
}

/* As after an umount: nothing, ... */
static void
hide_folder(const Fixture *fixture)
{
    g_autofree char *hidden = g_strconcat(fixture->folder, ".hidden", NULL);

    assert_int_equal(rename(fixture->folder, hidden), 0);
}

/* ... or the empty folder on which it was mounted. */
static void
cover_folder(const Fixture *fixture)
{
    hide_folder(fixture);
    assert_int_equal(mkdir(fixture->folder, 0755), 0);
}

static void
link_disk_to_nothing(const Fixture *fixture)
{
    remove_disk(fixture);
    assert_int_equal(symlink("/nonexistent/vm.qcow2", fixture->disk), 0);
}

static void
break_header(const Fixture *fixture)
{
    assert_true(g_file_set_contents(fixture->disk, "QFI\xfb", -1, NULL));
}

static void
empty_note(const Fixture *fixture)
{
    g_autofree char *note = note_of(fixture);

    assert_true(g_file_set_contents(note, "", 0, NULL));
}

static void
make_note_unreadable(const Fixture *fixture)
{
    g_autofree char *note = note_of(fixture);

    assert_int_equal(unlink(note), 0);
    assert_int_equal(mkdir(note, 0755), 0);
}

static void
forget_folder(const Fixture *fixture)
{
    g_autofree char *note = note_of(fixture);

    assert_true(g_file_set_contents(note, fixture->disk, -1, NULL));
    remove_disk(fixture);
}

static void
only_a_disk_that_was_really_removed_is_no_user(void **state)
{
    static const struct {
        const char *what;
        void (*change)(const Fixture *fixture);
        bool is_used, is_doubted;
        const char *says;     /* of the doubt, beside the note that can be removed */
        bool is_about_others; /* what is there and cannot be read may use any image */
    } ROWS[] = {
        {"it is there", nothing, true, false, NULL, false},
        {"removed", remove_disk, false, false, NULL, false},
        {"renamed", rename_disk, true, false, NULL, false},
        {"removed, of a note that does not know its folder", forget_folder, false, false, NULL, false},
        {"its folder is not there", hide_folder, false, true, "nor is its folder: mount", false},
        {"below a mount point", cover_folder, false, true, "not the one in which it was made: mount", false},
        {"a link to nothing", link_disk_to_nothing, false, true, "leads to nothing: mount", false},
        {"a header that is cut off", break_header, false, true, "repair it, or remove it", true},
        {"a note that says nothing", empty_note, false, true, "names no disk", false},
        {"a note that cannot be read", make_note_unreadable, false, true, "make it readable", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        const Fixture *fixture;
        g_autofree char *note = NULL;
        g_autoptr(Uses) uses = NULL;
        const char *doubt;

        if (i > 0)
            assert_int_equal(set_up(state), 0);
        fixture = *state;
        note = note_of(fixture);
        ROWS[i].change(fixture);
        uses = uses_find();
        doubt = uses_doubt(uses, ID);
        if ((uses_of(uses, fixture->image) != NULL) != ROWS[i].is_used ||
            (doubt != NULL) != ROWS[i].is_doubted ||
            (uses_doubt(uses, OTHER_ID) != NULL) != ROWS[i].is_about_others)
            fail_msg("%s: %s", ROWS[i].what, doubt == NULL ? "no doubt" : doubt);
        if (ROWS[i].is_doubted && (strstr(doubt, ROWS[i].says) == NULL ||
                                   (!ROWS[i].is_about_others && strstr(doubt, note) == NULL)))
            fail_msg("%s: %s", ROWS[i].what, doubt);
        if (i + 1 < G_N_ELEMENTS(ROWS))
            tear_down(state);
    }
}

static void
a_middle_disk_on_a_file_system_that_is_not_mounted_is_a_doubt(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *disks = path_disks(), *top = g_build_filename(disks, "top.qcow2", NULL);
    g_autofree char *middle = g_build_filename(fixture->home, "gone", "middle.qcow2", NULL);
    g_autoptr(Uses) uses = NULL;

    assert_true(file_make_dirs(disks, 0755, NULL));
    assert_true(disk_overlay_create(top, middle, DISK_QCOW2, 1 << 20, NULL));
    uses = uses_find();
    assert_non_null(strstr(uses_doubt(uses, OTHER_ID), middle));
    assert_non_null(strstr(uses_doubt(uses, OTHER_ID), top));
}

static void
a_note_needs_the_folder_of_its_disk(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *disk = g_build_filename(fixture->home, "gone", "vm.qcow2", NULL);
    g_autoptr(GError) error = NULL;

    assert_false(uses_note(ID, disk, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_NOT_FOUND));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_a_disk_that_was_really_removed_is_no_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_middle_disk_on_a_file_system_that_is_not_mounted_is_a_doubt, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_note_needs_the_folder_of_its_disk, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
