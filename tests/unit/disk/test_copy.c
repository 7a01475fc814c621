// SPDX-License-Identifier: Apache-2.0
/* Copies are equal and keep their holes, whatever way the file system offers. */
#include "disk/disk.h"

#include "base/digest.h"
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int
scratch(void)
{
    char path[] = "/tmp/vd-copy-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void
a_copy_is_equal_and_keeps_its_holes(void **state G_GNUC_UNUSED)
{
    /* Data at the start, in the middle at an odd place, and a hole at the end. */
    static const uint64_t places[] = {0, (5u << 20) + 13, 40u << 20};
    g_auto(Fd) in = scratch();
    g_auto(Fd) out = scratch();
    g_autofree char *before = NULL, *after = NULL;
    g_autoptr(GError) error = NULL;
    DiskCopyKind kind;
    struct stat st_in, st_out;

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
        assert_true(fd_pwrite_all(in, "some bytes", 10, places[i], "in", NULL));
    assert_int_equal(ftruncate(in, (64 << 20) + 1), 0);
    assert_true(disk_copy(in, "in", out, "out", NULL, &kind, &error));
    before = digest_file(DIGEST_SHA256, in, "in", NULL);
    after = digest_file(DIGEST_SHA256, out, "out", NULL);
    assert_string_equal(before, after);
    fstat(in, &st_in);
    fstat(out, &st_out);
    assert_int_equal(st_in.st_size, st_out.st_size);
    assert_true(st_out.st_blocks <= st_in.st_blocks + 64);
}

static void
the_kind_of_copy_agrees_with_the_trial(void **state G_GNUC_UNUSED)
{
    g_auto(Fd) in = scratch();
    g_auto(Fd) out = scratch();
    DiskCopyKind kind;

    assert_true(fd_pwrite_all(in, "x", 1, 0, "in", NULL));
    assert_true(disk_copy(in, "in", out, "out", NULL, &kind, NULL));
    assert_int_equal(kind == DISK_COPY_REFLINK, disk_can_reflink("/tmp", "/tmp"));
    assert_false(disk_can_reflink("/nonexistent", "/tmp"));
    assert_false(disk_can_reflink("/tmp", "/proc"));
}

static void
a_source_that_cannot_be_read_is_named(void **state G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_auto(Fd) out = scratch();
    DiskCopyKind kind;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_false(disk_copy(pipes[0], "a pipe", out, "out", NULL, &kind, &error));
    assert_true(g_str_has_prefix(error->message, "a pipe: "));
    close(pipes[0]);
    close(pipes[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_equal_and_keeps_its_holes),
        cmocka_unit_test(the_kind_of_copy_agrees_with_the_trial),
        cmocka_unit_test(a_source_that_cannot_be_read_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
