// SPDX-License-Identifier: Apache-2.0
/* Formats that can be converted, and the VMDKs that must not reach a converter. */
#include "disk/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 4096u

static void
formats_are_told_by_their_magic(void **state G_GNUC_UNUSED)
{
    static const struct {
        size_t offset;
        const char *magic;
        DiskForeign foreign;
    } CASES[] = {
        {0, "KDMV", DISK_FOREIGN_VMDK},    {0, "vhdxfile", DISK_FOREIGN_VHDX},
        {0, "conectix", DISK_FOREIGN_VPC}, {64, "\x7f\x10\xda\xbe", DISK_FOREIGN_VDI},
        {0, "QFI\xfb", DISK_FOREIGN_NONE}, {0, "COWD", DISK_FOREIGN_NONE},
        {1, "KDMV", DISK_FOREIGN_NONE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        uint8_t data[128] = {0};
        DiskForeign again = DISK_FOREIGN_NONE;

        memcpy(data + CASES[i].offset, CASES[i].magic, strlen(CASES[i].magic));
        assert_int_equal(disk_foreign_detect(data, sizeof data), CASES[i].foreign);
        assert_int_equal(disk_foreign_detect(data, 3), DISK_FOREIGN_NONE);
        if (CASES[i].foreign != DISK_FOREIGN_NONE) {
            assert_true(disk_foreign_parse(disk_foreign_name(CASES[i].foreign), &again));
            assert_int_equal(again, CASES[i].foreign);
        }
    }
}

static void
only_a_vmdk_that_stands_alone_is_accepted(void **state G_GNUC_UNUSED)
{
    static const struct {
        uint8_t version, capacity, at, sectors;
        const char *description, *message;
    } CASES[] = {
        {1, 8, 1, 1, "version=1\nparentCID=ffffffff\nRW 8 SPARSE \"a.vmdk\"\n", NULL},
        {3, 8, 1, 1, "version=1\r\nparentCID = FFFFFFFF\r\n", NULL},
        {1, 8, 0, 0, "", NULL},
        {1, 8, 7, 1, "", NULL},
        {0, 8, 1, 1, "", "unknown VMDK header"},
        {4, 8, 1, 1, "", "unknown VMDK header"},
        {1, 0, 1, 1, "RW 8 FLAT \"/etc/shadow\" 0\n", "only describes other files"},
        {1, 8, 8, 1, "", "not where it should be"},
        {1, 8, 1, 8, "", "not where it should be"},
        {1, 8, 1, 1, "parentCID=12345678\n", "needs its parent"},
        {1, 8, 1, 1, "parentCID\n", "needs its parent"},
        {1, 8, 1, 1, "parentCID=ffffffff\n  ParentFileNameHint=\"/etc/shadow\"\n", "needs its parent"},
        {1, 8, 1, 1, "RW 8 SPARSE \"a\"\nRW 8 FLAT \"/etc/shadow\" 0\n", "several files"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        uint8_t data[SIZE] = "KDMV";
        g_autoptr(GError) error = NULL;

        data[4] = CASES[i].version;
        data[12] = CASES[i].capacity;
        data[28] = CASES[i].at;
        data[36] = CASES[i].sectors;
        memcpy(data + 512, CASES[i].description, strlen(CASES[i].description));
        if (disk_vmdk_check(data, sizeof data, "a.vmdk", &error) != (CASES[i].message == NULL) ||
            (error != NULL && strstr(error->message, CASES[i].message) == NULL))
            fail_msg("case %zu: %s", i, error != NULL ? error->message : "accepted");
    }
    assert_false(disk_vmdk_check((const uint8_t *)"KDMV", 4, "a.vmdk", NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_told_by_their_magic),
        cmocka_unit_test(only_a_vmdk_that_stands_alone_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
