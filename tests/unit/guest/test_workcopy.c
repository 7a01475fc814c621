// SPDX-License-Identifier: Apache-2.0
/* The temporary copy that takes a disk's name, and every reason not to make one. */
#include "guest/workcopy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "temp_folder.h"

#define TEST_BYTES (1 << 20)

static char *
make_disk(const char *name)
{
    char *path = g_build_filename(dir, name, NULL);

    assert_true(g_file_set_contents(path, "old", 3, NULL));
    assert_int_equal(truncate(path, TEST_BYTES), 0);
    return path;
}

static void
expect_start(const char *path, const char *text)
{
    char found[4] = "";
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, found, 3), 3);
    assert_string_equal(found, text);
}

static unsigned
count_files(void)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(entries) != NULL)
        n++;
    return n;
}

static void
expect_refused(const char *path, const char *format, WorkMode mode, const char *message)
{
    g_auto(WorkCopy) work = WORK_COPY_NONE;
    g_autoptr(GError) error = NULL;

    assert_false(work_copy_open(path, format, mode, &work, &error));
    if (strstr(error->message, message) == NULL)
        fail_msg("'%s' does not say '%s'", error->message, message);
}

static void
the_copy_takes_the_name_the_mode_and_the_attributes(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw"), *link = g_build_filename(dir, "link", NULL);
    g_auto(WorkCopy) work = WORK_COPY_NONE;
    char value[8] = "";
    struct stat status;

    assert_int_equal(symlink("a.raw", link), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(setxattr(path, "user.note", "kept", 4, 0), 0);
    assert_true(work_copy_open(link, NULL, WORK_COPY, &work, NULL));
    assert_int_equal(work.format, DISK_RAW);
    assert_int_equal(work.virtual_size, TEST_BYTES);
    assert_int_equal(pwrite(work.fd, "new", 3, 0), 3);
    expect_start(path, "old");
    assert_true(work_copy_publish(&work, NULL));
    expect_start(path, "new");
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(status.st_size, TEST_BYTES);
    assert_int_equal(getxattr(path, "user.note", value, sizeof value), 4);
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(count_files(), 2);
}

static void
a_copy_that_is_given_up_leaves_nothing(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw");
    WorkCopy work = WORK_COPY_NONE;

    assert_true(work_copy_open(path, "raw", WORK_COPY, &work, NULL));
    assert_int_equal(count_files(), 2);
    work_copy_clear(&work);
    expect_start(path, "old");
    assert_int_equal(count_files(), 1);
}

static void
what_a_killed_run_left_is_swept(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw"), *litter = make_disk(".new-AbCdEf");
    g_auto(WorkCopy) work = WORK_COPY_NONE;

    assert_true(work_copy_open(path, NULL, WORK_COPY, &work, NULL));
    assert_int_equal(access(litter, F_OK), -1);
}

static void
a_disk_that_was_changed_meanwhile_stays(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw");
    g_auto(WorkCopy) work = WORK_COPY_NONE;
    g_autoptr(GError) error = NULL;

    assert_true(work_copy_open(path, NULL, WORK_COPY, &work, NULL));
    assert_int_equal(truncate(path, 2 * TEST_BYTES), 0);
    assert_false(work_copy_publish(&work, &error));
    assert_non_null(strstr(error->message, "was changed"));
}

static void
one_disk_has_one_worker(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw");
    g_auto(WorkCopy) work = WORK_COPY_NONE;

    assert_true(work_copy_open(path, NULL, WORK_COPY, &work, NULL));
    expect_refused(path, NULL, WORK_COPY, "another virt-depot works on it");
    expect_refused(path, NULL, WORK_IN_PLACE, "another virt-depot works on it");
}

static void
no_vm_starts_on_a_disk_that_is_worked_on(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw");
    g_auto(WorkCopy) work = WORK_COPY_NONE;
    g_auto(Fd) fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock unshared = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1};

    assert_true(work_copy_open(path, NULL, WORK_COPY, &work, NULL));
    assert_int_equal(fcntl(fd, F_OFD_GETLK, &unshared), 0);
    assert_int_equal(unshared.l_type, F_RDLCK);
}

static void
a_disk_that_qemu_has_open_is_refused(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = make_disk("a.raw");
    g_auto(Fd) fd = open(path, O_RDWR | O_CLOEXEC);
    g_auto(WorkCopy) work = WORK_COPY_NONE;
    struct flock used = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &used), 0);
    expect_refused(path, NULL, WORK_COPY, "a running program has it open");
    expect_refused(path, NULL, WORK_IN_PLACE, "a running program has it open");
    assert_true(work_copy_open(path, NULL, WORK_READ_ONLY, &work, NULL));
}

static void
what_cannot_be_worked_on_says_why(void **state G_GNUC_UNUSED)
{
    g_autofree char *two = make_disk("two"), *second = g_build_filename(dir, "second", NULL);
    g_autofree char *sealed = make_disk("sealed"), *absent = g_build_filename(dir, "absent", NULL);
    const struct {
        const char *path, *format;
        WorkMode mode;
        const char *message;
    } CASES[] = {
        {two, NULL, WORK_COPY, "more than one name"},
        {two, "vmdk", WORK_COPY, "'vmdk' is none of raw"},
        {two, "qcow2", WORK_IN_PLACE, "is in raw format, not qcow2"},
        {sealed, NULL, WORK_COPY, "is write-protected"},
        {sealed, NULL, WORK_IN_PLACE, "is write-protected"},
        {absent, NULL, WORK_COPY, "No such file"},
        {dir, NULL, WORK_READ_ONLY, "neither a file nor a block device"},
    };

    assert_int_equal(link(two, second), 0);
    assert_int_equal(chmod(sealed, 0444), 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++)
        expect_refused(CASES[i].path, CASES[i].format, CASES[i].mode, CASES[i].message);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(the_copy_takes_the_name_the_mode_and_the_attributes),
        TEST(a_copy_that_is_given_up_leaves_nothing),
        TEST(what_a_killed_run_left_is_swept),
        TEST(a_disk_that_was_changed_meanwhile_stays),
        TEST(one_disk_has_one_worker),
        TEST(no_vm_starts_on_a_disk_that_is_worked_on),
        TEST(a_disk_that_qemu_has_open_is_refused),
        TEST(what_cannot_be_worked_on_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
