// SPDX-License-Identifier: Apache-2.0
/* Progress between processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
temporary(void)
{
    char path[] = "/tmp/vdXXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void
test_what_one_shares_another_reads(void **state G_GNUC_UNUSED)
{
    g_auto(Fd) fd = temporary();
    g_autoptr(Progress) progress = NULL;
    g_autofree char *label = NULL;
    uint64_t done, total;

    assert_int_equal(write(fd, "left by a dead process", 22), 22);
    progress_share(fd);
    assert_false(progress_read(fd, &label, &done, &total));
    progress = progress_new("pull debian-12", 1000);
    assert_true(progress_read(fd, &label, &done, &total));
    assert_string_equal(label, "pull debian-12");
    assert_int_equal(done, 0);
    assert_int_equal(total, 1000);
    g_usleep(G_USEC_PER_SEC / 8); /* shared as often as drawn: that is what is tested */
    progress_set(progress, 77);
    progress_share(-1);
    progress_set(progress, 99);
    g_clear_pointer(&label, g_free);
    assert_true(progress_read(fd, &label, &done, &total));
    assert_int_equal(done, 77);
}

static void
test_the_end_is_never_left_out(void **state G_GNUC_UNUSED)
{
    g_auto(Fd) fd = temporary();
    g_autoptr(Progress) progress = NULL;
    g_autofree char *label = NULL;
    uint64_t done, total;

    progress_share(fd);
    progress = progress_new("check debian-12", 1000);
    progress_add(progress, 600);
    progress_add(progress, 400); /* at once: too soon for anything but the end */
    assert_true(progress_read(fd, &label, &done, &total));
    assert_int_equal(done, 1000);
    progress_share(-1);
}

static void
test_what_is_not_whole_is_nothing(void **state G_GNUC_UNUSED)
{
    static const char *const TEXTS[] = {"", "progress 1 of 2 x", "progress x of 2 x", "something else"};
    char bytes[256];

    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_auto(Fd) fd = temporary();
        char *label = NULL;
        uint64_t done, total;

        memset(bytes, i == 1 ? 'x' : 0, sizeof bytes); /* the second has no end */
        memcpy(bytes, TEXTS[i], strlen(TEXTS[i]));
        assert_int_equal(write(fd, bytes, i == 0 ? 0 : sizeof bytes), i == 0 ? 0 : sizeof bytes);
        assert_false(progress_read(fd, &label, &done, &total));
        assert_null(label);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_one_shares_another_reads),
        cmocka_unit_test(test_the_end_is_never_left_out),
        cmocka_unit_test(test_what_is_not_whole_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
