// SPDX-License-Identifier: Apache-2.0
/* Overlays that qemu itself must find clean, writable and complete. */
#include "disk/disk.h"

#include "base/fd.h"
#include "base/file.h"
#include "temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Run a shell command with $D as the folder; it must succeed. Returns its output. */
static char *
shell(const char *command)
{
    g_autofree char *text = g_strdup_printf("D='%s'; %s", dir, command);
    const char *argv[] = {"sh", "-ec", text, NULL};
    g_autofree char *err = NULL;
    char *out = NULL;
    int status = 0;

    assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, NULL));
    if (status != 0)
        fail_msg("%s: %s %s", command, out, err);
    return out;
}

static bool
require(const char *program)
{
    g_autofree char *path = g_find_program_in_path(program);

    return path != NULL;
}

static void
qemu_finds_the_overlay_clean_at_every_size(void **state G_GNUC_UNUSED)
{
    static const uint64_t sizes[] = {512, 64u << 20, 20ull << 30, 3ull << 40, 1ull << 50};
    g_autofree char *base = g_build_filename(dir, "base.raw", NULL);
    g_autofree char *path = g_build_filename(dir, "o.qcow2", NULL);

    if (!require("qemu-img"))
        skip();
    g_free(shell("truncate -s 1M $D/base.raw"));
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(DiskInfo) info = {0};
        g_auto(Fd) fd = -1;
        g_autofree char *text = NULL;

        assert_true(disk_overlay_create(path, base, DISK_RAW, sizes[i], &error));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(disk_probe(fd, path, &info, &error));
        assert_int_equal(info.virtual_size, sizes[i]);
        assert_string_equal(info.backing_file, base);
        assert_string_equal(info.backing_format, "raw");
        text = shell("qemu-img check -q $D/o.qcow2 && qemu-img info $D/o.qcow2");
        assert_non_null(strstr(text, "extended l2: true"));
        assert_non_null(strstr(text, "backing file format: raw"));
        assert_int_equal(unlink(path), 0);
    }
}

static void
a_grown_overlay_shows_its_base_and_takes_writes(void **state G_GNUC_UNUSED)
{
    g_autofree char *base = g_build_filename(dir, "base2.raw", NULL);
    g_autofree char *path = g_build_filename(dir, "grown.qcow2", NULL);
    struct stat st;

    if (!require("qemu-img") || !require("qemu-io"))
        skip();
    g_free(shell("truncate -s 1M $D/base2.raw; qemu-io -f raw -c 'write -P 7 64k 64k' $D/base2.raw"));
    assert_true(disk_overlay_create(path, base, DISK_RAW, 8u << 20, NULL));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    g_free(shell(
        "qemu-io -c 'read -P 7 64k 64k' -c 'read -P 0 1M 7M' -c 'write -P 9 6M 1M' -c 'write -P 8 66k 2k' "
        "-c 'read -P 7 64k 2k' -c 'read -P 8 66k 2k' -c 'read -P 9 6M 1M' $D/grown.qcow2; "
        "qemu-img check -q $D/grown.qcow2; qemu-io -f raw -c 'read -P 7 64k 64k' $D/base2.raw"));
}

static void
impossible_overlays_are_refused_and_leave_no_file(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(dir, "bad.qcow2", NULL);
    g_autofree char *long_name = g_strnfill(1024, 'x');
    g_autoptr(GError) error = NULL;

    assert_false(disk_overlay_create(path, "/b", DISK_RAW, 0, NULL));
    assert_false(disk_overlay_create(path, "/b", DISK_RAW, 513, NULL));
    assert_false(disk_overlay_create(path, "/b", DISK_RAW, (1ull << 50) + 512, NULL));
    assert_false(disk_overlay_create(path, long_name, DISK_RAW, 512, NULL));
    assert_int_equal(access(path, F_OK), -1);
    assert_true(disk_overlay_create(path, "/b", DISK_QCOW2, 512, NULL));
    assert_false(disk_overlay_create(path, "/b", DISK_QCOW2, 512, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS));
    assert_int_equal(access(path, F_OK), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qemu_finds_the_overlay_clean_at_every_size),
        cmocka_unit_test(a_grown_overlay_shows_its_base_and_takes_writes),
        cmocka_unit_test(impossible_overlays_are_refused_and_leave_no_file),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
