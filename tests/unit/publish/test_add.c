// SPDX-License-Identifier: Apache-2.0
/* The image arguments of `repo add`. */
#include "publish/add.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
an_argument_is_a_file_or_a_name_and_a_file(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *argument, *name, *path;
        bool is_named;
    } CASES[] = {
        {"debian.qcow2", "debian", "debian.qcow2", false},
        {"/srv/in/debian-12.raw", "debian-12", "/srv/in/debian-12.raw", false},
        {"a.img", "a", "a.img", false},
        {"a.b.vmdk", "a.b", "a.b.vmdk", false},
        {"disk", "disk", "disk", false},
        {"web=disk.qcow2", "web", "disk.qcow2", true},
        {"web=", "web", "", true},
        {"web=a=b", "web", "a=b", true},
        {"./a=b.raw", "a=b", "./a=b.raw", false},
        {"/srv/a=b", "a=b", "/srv/a=b", false},
        {"=x", "=x", "=x", false},
        {"web=-", "web", "-", true},
        {"-", "-", "-", false},
        {".raw", "", ".raw", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *name = NULL, *path = NULL;
        bool is_named = false;

        publish_item_parse(CASES[i].argument, &name, &path, &is_named);
        assert_string_equal(name, CASES[i].name);
        assert_string_equal(path, CASES[i].path);
        assert_int_equal(is_named, CASES[i].is_named);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_argument_is_a_file_or_a_name_and_a_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
