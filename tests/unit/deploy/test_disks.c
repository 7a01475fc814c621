// SPDX-License-Identifier: Apache-2.0
/* The disk files of new VMs: what may be a base, what is made of it, and that nothing is ever replaced. */
#include "deploy/disks.h"

#include "base/fd.h"
#include "base/file.h"
#include "temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int
make_base(void **state)
{
    g_autofree char *base = NULL;

    if (make_dir(state) != 0)
        return 1;
    base = g_build_filename(dir, "base", NULL);
    return !g_file_set_contents(base, "data", -1, NULL) || truncate(base, 1 << 20) < 0;
}

static char *
in_dir(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static void
each_mode_makes_its_disk(void **state G_GNUC_UNUSED)
{
    static const struct {
        DeployMode mode;
        DiskFormat format;
        const char *name;
    } cases[] = {{DEPLOY_LINKED, DISK_QCOW2, "linked"}, {DEPLOY_FULL, DISK_RAW, "full"}};
    g_autofree char *path = in_dir("base");
    DiskBase base;

    assert_true(deploy_disks_open_base(path, DISK_RAW, &base, NULL));
    assert_int_equal(base.size, 1 << 20);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *disk = in_dir(cases[i].name);
        g_auto(DiskInfo) info = {0};
        g_autoptr(GError) error = NULL;
        g_auto(Fd) fd = -1;
        struct stat st;

        assert_int_equal(deploy_disks_format(cases[i].mode), cases[i].format);
        if (!deploy_disks_make(&base, cases[i].mode, disk, 4 << 20, NULL, &error))
            fail_msg("%s", error->message);
        fd = open(disk, O_RDONLY | O_CLOEXEC);
        assert_true(disk_probe(fd, disk, &info, NULL));
        assert_int_equal(info.format, cases[i].format);
        assert_int_equal(info.virtual_size, 4 << 20);
        fstat(fd, &st);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_false(deploy_disks_make(&base, cases[i].mode, disk, 4 << 20, NULL, NULL)); /* it is there */
    }
    fd_close(base.fd);
}

static void
a_qcow2_base_becomes_a_raw_full_copy(void **state G_GNUC_UNUSED)
{
    g_autofree char *program = g_find_program_in_path("qemu-img");
    g_autofree char *qcow2 = in_dir("base.qcow2"), *raw = in_dir("base"), *disk = in_dir("converted");
    const char *argv[] = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2, NULL};
    g_autofree char *data = NULL;
    gsize size;
    DiskBase base;
    int status = 0;

    if (program == NULL)
        skip();
    assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
    assert_true(deploy_disks_open_base(qcow2, DISK_QCOW2, &base, NULL));
    assert_true(deploy_disks_make(&base, DEPLOY_FULL, disk, 2 << 20, NULL, NULL));
    assert_true(g_file_get_contents(disk, &data, &size, NULL));
    assert_int_equal(size, 2 << 20);
    assert_memory_equal(data, "data", 4);
    fd_close(base.fd);
}

static void
images_that_refer_to_other_files_are_no_base(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_dir("evil.qcow2"), *raw = in_dir("base");
    g_autoptr(GError) backed = NULL, wrong = NULL;
    DiskBase base;

    assert_true(disk_overlay_create(path, "/etc/shadow", DISK_RAW, 512, NULL));
    assert_false(deploy_disks_open_base(path, DISK_QCOW2, &base, &backed));
    assert_non_null(strstr(backed->message, "refers to another file"));
    assert_false(deploy_disks_open_base(raw, DISK_QCOW2, &base, &wrong));
    assert_non_null(strstr(wrong->message, "the index says qcow2"));
}

/* By way of /proc an open file can be opened once more after its removal, as if that had come between. */
static void
an_image_that_was_removed_before_it_was_locked_is_no_base(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_dir("pruned"), *late = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(Fd) fd = -1;
    DiskBase base;

    assert_true(g_file_set_contents(path, "data", -1, NULL) && truncate(path, 1 << 20) == 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    late = g_strdup_printf("/proc/self/fd/%d", fd);
    assert_true(deploy_disks_open_base(late, DISK_RAW, &base, NULL));
    fd_close(base.fd);
    assert_int_equal(unlink(path), 0);
    assert_false(deploy_disks_open_base(late, DISK_RAW, &base, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, "try again"));
}

static void
moving_into_place_replaces_nothing(void **state G_GNUC_UNUSED)
{
    g_autofree char *from = in_dir("from"), *to = in_dir("to");
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(from, "new", -1, NULL));
    assert_true(deploy_disks_move(from, to, NULL));
    assert_true(g_file_set_contents(from, "newer", -1, NULL));
    assert_false(deploy_disks_move(from, to, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mode_makes_its_disk),
        cmocka_unit_test(a_qcow2_base_becomes_a_raw_full_copy),
        cmocka_unit_test(images_that_refer_to_other_files_are_no_base),
        cmocka_unit_test(an_image_that_was_removed_before_it_was_locked_is_no_base),
        cmocka_unit_test(moving_into_place_replaces_nothing),
    };

    return cmocka_run_group_tests(tests, make_base, remove_dir);
}
