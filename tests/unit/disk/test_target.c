// SPDX-License-Identifier: Apache-2.0
/* Images that are laid out as qcow2 before they are there: qemu must find each one clean, and the same as the raw one. */
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

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

static void
shell(const char *command)
{
    g_autofree char *text = g_strdup_printf("cd '%s'; %s", dir, command), *out = NULL, *err = NULL;
    const char *argv[] = {"sh", "-ec", text, NULL};
    int status = 0;

    assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, NULL));
    if (status != 0)
        fail_msg("%s: %s %s", command, out, err);
}

static int
open_new(const char *leaf)
{
    g_autofree char *path = g_build_filename(dir, leaf, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

typedef struct {
    const char *what;
    uint64_t size;
    struct {
        uint64_t at, size;
    } data[4];
} Shape;

static const Shape SHAPES[] = {
    {"one byte", 1, {{0, 1}}},
    {"less than a sector, all hole", 100, {{0, 0}}},
    {"all data, no multiple of a cluster", 3 * MIB + 4096 + 512, {{0, 3 * MIB + 4096 + 512}}},
    {"no multiple of a sector", 5 * 64 * KIB + 700, {{64 * KIB, 10}, {5 * 64 * KIB, 700}}},
    {"all hole", 700 * MIB, {{0, 0}}},
    {"several L2 tables", 2 * GIB, {{0, 4096}, {512 * MIB - 4096, 8192}, {2 * GIB - 4096, 4096}}},
    {"a run over three L2 tables", GIB + 64 * KIB, {{511 * MIB + 60 * KIB, 513 * MIB}}},
    {"an empty L2 table between others", 3 * GIB, {{10 * MIB, 4096}, {2 * GIB, 64 * KIB}}},
    {"a sparse terabyte", TIB, {{0, 4096}, {300 * GIB, 64 * KIB}, {TIB - 4096, 4096}}},
    {"pieces of neighbouring clusters", 10 * MIB, {{60 * KIB, 4096}, {64 * KIB, 4096}, {124 * KIB, 8192}}},
};

static void
write_raw(const Shape *shape, int fd)
{
    g_autofree uint8_t *data = g_malloc0(MIB);

    assert_int_equal(ftruncate(fd, (off_t)shape->size), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(shape->data); i++) {
        uint64_t at = shape->data[i].at, end = at + shape->data[i].size;

        for (; at < end; at += MIN(MIB, end - at)) {
            memset(data, (int)(1 + at % 251), MIB);
            assert_true(fd_pwrite_all(fd, data, MIN(MIB, end - at), at, "raw", NULL));
        }
    }
}

static void
copy_to(int raw, uint64_t size, const DiskTarget *target)
{
    bool was_empty = false;

    assert_true(disk_target_prepare(target, size, &was_empty, NULL));
    assert_true(was_empty);
    assert_true(disk_target_fill(target, raw, "raw", size, NULL, NULL));
    assert_true(disk_target_finish(target, NULL));
}

static void
qemu_finds_every_shape_clean_and_equal(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(SHAPES); i++) {
        g_auto(Fd) raw = open_new("a.raw"), copy = open_new("b.raw"), fd = open_new("a.qcow2");
        g_autoptr(DiskLayout) layout = NULL;
        g_auto(DiskInfo) info = {0};
        struct stat status;

        write_raw(&SHAPES[i], raw);
        layout = disk_layout_of_file(raw, "a.raw", NULL);
        assert_non_null(layout);
        copy_to(raw, SHAPES[i].size, &(DiskTarget){.fd = copy, .name = "b.raw"});
        copy_to(raw, SHAPES[i].size, &(DiskTarget){.fd = fd, .name = "a.qcow2", .layout = layout});
        shell("qemu-img check -q -f qcow2 a.qcow2; qemu-img compare -q -f raw -F qcow2 a.raw a.qcow2;"
              "qemu-img compare -q -f raw -F raw a.raw b.raw");
        assert_true(disk_probe(fd, "a.qcow2", &info, NULL));
        assert_int_equal(info.virtual_size, (SHAPES[i].size + 511) / 512 * 512);
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, disk_layout_file_size(layout));
    }
}

static void
a_stream_has_every_shape_too(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(SHAPES); i++) {
        g_auto(Fd) raw = open_new("s.raw"), plain = open_new("t.raw"), fd = open_new("s.qcow2");
        g_autoptr(DiskLayout) layout = NULL;

        write_raw(&SHAPES[i], raw);
        layout = disk_layout_of_file(raw, "s.raw", NULL);
        assert_true(disk_target_stream(raw, "s.raw", layout, fd, "s.qcow2", NULL, NULL));
        shell("qemu-img check -q -f qcow2 s.qcow2; qemu-img compare -q -f raw -F qcow2 s.raw s.qcow2");
        if (SHAPES[i].size > 10 * MIB) /* all of it is written */
            continue;
        assert_true(disk_target_stream(raw, "s.raw", NULL, plain, "t.raw", NULL, NULL));
        shell("cmp s.raw t.raw");
    }
}

static void
what_is_not_finished_is_no_image(void **state G_GNUC_UNUSED)
{
    static const Shape shape = {"", 100 * KIB + 4, {{100 * KIB, 4}}};
    g_auto(Fd) raw = open_new("c.raw"), fd = open_new("c.qcow2");
    g_autoptr(DiskLayout) layout = NULL;
    DiskTarget target = {.fd = fd, .name = "c.qcow2"};
    g_auto(DiskInfo) info = {0};

    write_raw(&shape, raw);
    target.layout = layout = disk_layout_of_file(raw, "c.raw", NULL);
    assert_true(disk_target_begin_anew(&target, shape.size, NULL));
    assert_true(disk_target_fill(&target, raw, "raw", shape.size, NULL, NULL));
    assert_true(disk_probe(fd, "c.qcow2", &info, NULL));
    assert_int_equal(info.format, DISK_RAW); /* no magic */
    assert_true(disk_target_probe(&target, shape.size, "c", &info, NULL));
    assert_int_equal(info.virtual_size, shape.size);
}

static void
a_qcow2_is_converted_back(void **state G_GNUC_UNUSED)
{
    g_auto(Fd) in = -1, out = open_new("f.raw");
    g_autofree char *path = g_build_filename(dir, "f.qcow2", NULL);

    shell("truncate -s 3M g.raw; printf data | dd of=g.raw bs=1 seek=1000000 conv=notrunc status=none;"
          "qemu-img convert -c -f raw -O qcow2 g.raw f.qcow2");
    in = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(disk_convert(in, path, "qcow2", out, NULL));
    shell("cmp g.raw f.raw");
}

static void
a_raw_image_that_is_a_qcow2_is_seen_through_the_layout(void **state G_GNUC_UNUSED)
{
    g_auto(Fd) inner = -1, fd = open_new("e.qcow2");
    g_autofree char *path = g_build_filename(dir, "d.qcow2", NULL);
    g_autoptr(DiskLayout) layout = NULL;
    g_auto(DiskInfo) info = {0};
    DiskTarget target = {.fd = fd, .name = "e.qcow2"};
    uint64_t size = 0;

    shell("qemu-img create -q -f qcow2 d.qcow2 8M");
    inner = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(inner >= 0 && fd_size(inner, path, &size, NULL));
    layout = disk_layout_of_file(inner, path, NULL);
    target.layout = layout;
    assert_true(disk_target_begin_anew(&target, size, NULL));
    assert_true(disk_target_fill(&target, inner, path, size, NULL, NULL));
    assert_true(disk_target_probe(&target, size, "e", &info, NULL));
    assert_int_equal(info.format, DISK_QCOW2);
}

static void
an_image_larger_than_the_limit_has_no_layout(void **state G_GNUC_UNUSED)
{
    g_autoptr(DiskManifest) manifest = disk_manifest_new();
    g_autoptr(GError) error = NULL;

    manifest->raw_size = DISK_LAYOUT_MAX_SIZE + 1;
    assert_null(disk_layout_of_manifest(manifest, "image", &error));
    assert_non_null(strstr(error->message, "cannot be made"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qemu_finds_every_shape_clean_and_equal),
        cmocka_unit_test(a_stream_has_every_shape_too),
        cmocka_unit_test(a_qcow2_is_converted_back),
        cmocka_unit_test(what_is_not_finished_is_no_image),
        cmocka_unit_test(a_raw_image_that_is_a_qcow2_is_seen_through_the_layout),
        cmocka_unit_test(an_image_larger_than_the_limit_has_no_layout),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
