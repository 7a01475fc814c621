// SPDX-License-Identifier: Apache-2.0
/* Image headers built byte by byte: what is accepted, what is refused and with which words. */
#include "disk/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
put32(uint8_t *at, uint32_t value)
{
    value = GUINT32_TO_BE(value);
    memcpy(at, &value, sizeof value);
}

static void
put64(uint8_t *at, uint64_t value)
{
    value = GUINT64_TO_BE(value);
    memcpy(at, &value, sizeof value);
}

/* A sound v3 header with backing format extension at 104 and backing name at 160. */
static void
sound_header(uint8_t *data)
{
    memset(data, 0, 512);
    put32(data, QCOW2_MAGIC);
    put32(data + 4, 3);
    put64(data + 8, 160);
    put32(data + 16, 9);
    put32(data + 20, 16);
    put64(data + 24, 1 << 30);
    put32(data + 96, 4);
    put32(data + 100, QCOW2_V3_HEADER);
    put32(data + 104, QCOW2_EXTENSION_BACKING_FORMAT);
    put32(data + 108, 3);
    memcpy(data + 112, "raw", 3);
    memcpy(data + 160, "/base.raw", 9);
}

static void
a_sound_header_tells_everything(void **state G_GNUC_UNUSED)
{
    uint8_t data[512];
    g_auto(DiskInfo) info = {0};
    g_autoptr(GError) error = NULL;

    sound_header(data);
    assert_true(disk_header_parse(data, sizeof data, 4096, "x", &info, &error));
    assert_int_equal(info.format, DISK_QCOW2);
    assert_int_equal(info.virtual_size, 1 << 30);
    assert_string_equal(info.backing_file, "/base.raw");
    assert_string_equal(info.backing_format, "raw");
    assert_false(info.has_data_file);
}

static void
version_2_and_the_data_file_flag_are_read(void **state G_GNUC_UNUSED)
{
    uint8_t data[512];
    g_auto(DiskInfo) two = {0}, three = {0};

    sound_header(data);
    put64(data + 72, QCOW2_INCOMPAT_DATA_FILE);
    assert_true(disk_header_parse(data, sizeof data, 4096, "x", &three, NULL));
    assert_true(three.has_data_file);
    memset(data + 72, 0, 88);
    put32(data + 4, 2);
    assert_true(disk_header_parse(data, sizeof data, 4096, "x", &two, NULL));
    assert_string_equal(two.backing_file, "/base.raw");
    assert_null(two.backing_format);
    assert_false(two.has_data_file);
}

static void
damaged_headers_are_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        size_t offset;
        uint32_t value;
        const char *message;
    } cases[] = {
        {4, 1, "qcow version 1 is not supported"},
        {20, 8, "impossible cluster size"},
        {20, 22, "impossible cluster size"},
        {24, 0xffffffff, "impossible virtual size"},
        {32, 1, "encrypted"},
        {8, 1, "unusable backing file name"},    /* 2^32 + 160 */
        {12, 510, "unusable backing file name"}, /* reaches past the end */
        {16, 0, "unusable backing file name"},
        {16, 1024, "unusable backing file name"},
        {16, 12, "holds a zero byte"},
        {100, 96, "impossible header length"},
        {100, 70000, "impossible header length"},
        {108, 4, "unusable backing format"},
        {108, 0xfffffff9, "an extension reaches past its area"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t data[512];
        DiskInfo info = {0};
        g_autoptr(GError) error = NULL;

        sound_header(data);
        put32(data + cases[i].offset, cases[i].value);
        assert_false(disk_header_parse(data, sizeof data, 4096, "x.img", &info, &error));
        assert_true(g_str_has_prefix(error->message, "x.img: "));
        if (strstr(error->message, cases[i].message) == NULL)
            fail_msg("case %zu: %s", i, error->message);
    }
}

static void
foreign_formats_never_pass_for_raw(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *magic;
        size_t size;
        const char *format;
    } cases[] = {
        {"\xfd"
         "7zXZ\0",
         6, "xz"},
        {"\x1f\x8b\x08", 3, "gzip"},
        {"\x28\xb5\x2f\xfd", 4, "zstd"},
        {"KDMV", 4, "VMDK"},
        {"vhdxfile", 8, "VHDX"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t data[512] = {0};
        DiskInfo info = {0};
        g_autoptr(GError) error = NULL;

        memcpy(data, cases[i].magic, cases[i].size);
        assert_false(disk_header_parse(data, sizeof data, 512, "x", &info, &error));
        assert_non_null(strstr(error->message, cases[i].format));
    }
}

static void
anything_else_is_raw_with_the_size_of_the_file(void **state G_GNUC_UNUSED)
{
    g_auto(DiskInfo) info = {0};

    assert_true(disk_header_parse((const uint8_t *)"\xeb\x63\x90", 3, 3, "x", &info, NULL));
    assert_int_equal(info.format, DISK_RAW);
    assert_int_equal(info.virtual_size, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_header_tells_everything),
        cmocka_unit_test(version_2_and_the_data_file_flag_are_read),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(foreign_formats_never_pass_for_raw),
        cmocka_unit_test(anything_else_is_raw_with_the_size_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
