// SPDX-License-Identifier: Apache-2.0
/* What a disk boots from, and versions as package managers write them. */
#include "guest/firmware.h"
#include "guest/software.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
the_partition_table_tells_the_firmware(void **state G_GNUC_UNUSED)
{
    static const struct {
        FirmwareFacts facts; /* ESP, BIOS boot partition, boot code */
        const char *arch, *name;
    } CASES[] = {
        {{false, false, true}, "x86_64", "bios"},    {{false, false, true}, NULL, "bios"},
        {{true, false, false}, "x86_64", "uefi"},    {{true, false, true}, "x86_64", "uefi"},
        {{true, true, true}, "x86_64", "bios,uefi"}, {{true, true, true}, "aarch64", "uefi"},
        {{false, false, true}, "aarch64", NULL},     {{false, false, false}, "x86_64", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (g_strcmp0(firmware_name(&CASES[i].facts, CASES[i].arch), CASES[i].name) != 0)
            fail_msg("case %zu", i);
}

static void
versions_are_put_together_as_package_managers_write_them(void **state G_GNUC_UNUSED)
{
    static const struct {
        int epoch;
        const char *version, *release, *whole;
    } CASES[] = {
        {0, "5.2.15", "2+b7", "5.2.15-2+b7"},
        {1, "9.18", "3", "1:9.18-3"},
        {0, "2024a", "", "2024a"},
        {0, "", "3", NULL},
        {0, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *whole = software_version(CASES[i].epoch, CASES[i].version, CASES[i].release);

        if (g_strcmp0(whole, CASES[i].whole) != 0)
            fail_msg("case %zu: %s", i, whole);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_partition_table_tells_the_firmware),
        cmocka_unit_test(versions_are_put_together_as_package_managers_write_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
