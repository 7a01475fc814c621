// SPDX-License-Identifier: Apache-2.0
/* Images that may be published, and every reason to refuse one. */
#include "publish/image.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#define TEST_BYTES (1 << 20)

static int
set_up(void **state)
{
    char *dir = g_strdup("/tmp/vdimage-XXXXXX");

    *state = dir;
    return g_mkdtemp(dir) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
    bool is_ok = file_remove_tree(*state, NULL);

    g_free(*state);
    return is_ok ? 0 : -1;
}

static char *
make_raw(const char *dir, const char *name)
{
    char *path = g_build_filename(dir, name, NULL);

    assert_true(g_file_set_contents(path, "x", 1, NULL));
    assert_int_equal(truncate(path, TEST_BYTES), 0);
    return path;
}

/* Nothing here needs a copy, so there is no store. */
static bool
open_as(PublishImage *image, const char *path, const char *format, GError **error)
{
    PublishInput input = {0};

    assert_true(format == NULL || publish_input_parse(format, &input, NULL));
    return publish_image_open(image, path, &input, NULL, error);
}

static void
expect_refused(const char *path, const char *expect)
{
    g_auto(PublishImage) image = PUBLISH_IMAGE_NONE;
    g_autoptr(GError) error = NULL;

    assert_false(open_as(&image, path, NULL, &error));
    if (strstr(error->message, expect) == NULL)
        fail_msg("unexpected message: %s", error->message);
}

static void
a_raw_image_is_accepted_until_it_changes(void **state)
{
    g_autofree char *path = make_raw(*state, "a.raw");
    g_auto(PublishImage) image = PUBLISH_IMAGE_NONE;
    g_auto(Fd) fd = -1;

    assert_true(open_as(&image, path, NULL, NULL));
    assert_int_equal(image.info.format, DISK_RAW);
    assert_int_equal(image.info.virtual_size, TEST_BYTES);
    assert_true(publish_image_check_unchanged(&image, NULL));
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "y", 1), 1);
    assert_false(publish_image_check_unchanged(&image, NULL));
}

static void
an_image_replaced_by_another_file_has_changed(void **state)
{
    g_autofree char *path = make_raw(*state, "a.raw");
    g_auto(PublishImage) image = PUBLISH_IMAGE_NONE;

    assert_true(open_as(&image, path, NULL, NULL));
    assert_int_equal(unlink(path), 0);
    assert_false(publish_image_check_unchanged(&image, NULL));
    g_free(make_raw(*state, "a.raw"));
    assert_false(publish_image_check_unchanged(&image, NULL));
}

static void
an_image_that_needs_another_file_is_refused(void **state)
{
    g_autofree char *raw = make_raw(*state, "a.raw");
    g_autofree char *overlay = g_build_filename(*state, "b.qcow2", NULL);

    assert_true(disk_overlay_create(overlay, raw, DISK_RAW, TEST_BYTES, NULL));
    expect_refused(overlay, "needs its backing file");
}

static void
what_is_no_image_is_refused(void **state)
{
    g_autofree char *empty = g_build_filename(*state, "empty", NULL);
    g_autofree char *absent = g_build_filename(*state, "absent", NULL);
    g_autofree char *xz = g_build_filename(*state, "a.xz", NULL);

    assert_true(g_file_set_contents(empty, "", 0, NULL));
    assert_true(g_file_set_contents(xz,
                                    "\xfd"
                                    "7zXZ\0........",
                                    14, NULL));
    expect_refused(empty, "empty");
    expect_refused(absent, "No such file");
    expect_refused(*state, "neither a file nor a block device");
    expect_refused(xz, "xz");
}

static void
an_image_that_qemu_writes_to_is_refused(void **state)
{
    g_autofree char *path = make_raw(*state, "a.raw");
    g_auto(Fd) fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    expect_refused(path, "a running VM writes to it");
}

/* A raw image that starts like a qcow2 is an attack on whoever probes it: no option makes it a raw one. */
static void
a_format_that_is_not_the_stated_one_is_refused(void **state)
{
    g_autofree char *raw = make_raw(*state, "a.raw");
    g_autofree char *qcow2 = g_build_filename(*state, "b.qcow2", NULL);
    g_autofree char *vmdk = make_raw(*state, "a.vmdk");
    const struct {
        const char *path, *format, *message;
    } CASES[] = {
        {raw, "raw", NULL},
        {raw, "qcow2", "is in raw format, not qcow2"},
        {raw, "vmdk", "is not in vmdk format"},
        {qcow2, "qcow2", "needs its backing file"},
        {qcow2, "vhdx", "is not in vhdx format"},
        {vmdk, "raw", "unknown VMDK header"},
    };

    assert_true(disk_overlay_create(qcow2, raw, DISK_RAW, TEST_BYTES, NULL));
    assert_true(g_file_set_contents(vmdk, "KDMV", 4, NULL));
    assert_int_equal(truncate(vmdk, TEST_BYTES), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_auto(PublishImage) image = PUBLISH_IMAGE_NONE;
        g_autoptr(GError) error = NULL;
        bool is_open = open_as(&image, CASES[i].path, CASES[i].format, &error);

        if (is_open != (CASES[i].message == NULL) ||
            (!is_open && strstr(error->message, CASES[i].message) == NULL))
            fail_msg("case %zu: %s", i, is_open ? "accepted" : error->message);
    }
}

static void
only_known_formats_can_be_stated(void **state G_GNUC_UNUSED)
{
    PublishInput input = {0};
    g_autoptr(GError) error = NULL;

    assert_true(publish_input_parse("vpc", &input, NULL));
    assert_int_equal(input.foreign, DISK_FOREIGN_VPC);
    assert_true(publish_input_parse("qcow2", &input, NULL));
    assert_int_equal(input.format, DISK_QCOW2);
    assert_false(publish_input_parse("nbd", &input, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_raw_image_is_accepted_until_it_changes),
        test(an_image_replaced_by_another_file_has_changed),
        test(an_image_that_needs_another_file_is_refused),
        test(what_is_no_image_is_refused),
        test(an_image_that_qemu_writes_to_is_refused),
        test(a_format_that_is_not_the_stated_one_is_refused),
        cmocka_unit_test(only_known_formats_can_be_stated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
