// SPDX-License-Identifier: Apache-2.0
/* Which passphrase is tried on which container. */
#include "guest/keys.h"

#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define UUID "6f2a1f0e-7b4c-4d43-9a57-2b8c5f9d0001"

static void
a_key_is_tried_on_what_its_name_says(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *selector, *device;
        bool is_for;
    } CASES[] = {
        {"all:key:secret", "/dev/sdb2", true},
        {"/dev/sda2:key:secret", "/dev/sdb2", true},
        {"/dev/vda2:key:secret", "/dev/sdb2", true},
        {"/dev/sda3:key:secret", "/dev/sdb2", false},
        {"/dev/sda2:key:secret", "/dev/sdb22", false},
        {UUID ":key:secret", "/dev/sdb2", true},
        {"6F2A1F0E-7B4C-4D43-9A57-2B8C5F9D0001:key:secret", "/dev/sdb2", true},
        {"6f2a1f0e-7b4c-4d43-9a57-2b8c5f9d0002:key:secret", "/dev/sdb2", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GuestKeys) keys = guest_keys_new();
        unsigned at = 0;

        assert_true(guest_keys_add(keys, CASES[i].selector, NULL));
        const char *key = keys_next(keys, "/dev/sdb", CASES[i].device, UUID, &at);

        if ((key != NULL) != CASES[i].is_for || (key != NULL && strcmp(key, "secret") != 0))
            fail_msg("%s on %s", CASES[i].selector, CASES[i].device);
        assert_null(keys_next(keys, "/dev/sdb", CASES[i].device, UUID, &at));
    }
}

static void
a_passphrase_may_hold_colons_and_stands_in_no_message(void **state G_GNUC_UNUSED)
{
    static const char *const BAD[] = {"secret", "all:secret", "all:word:secret", ":key:secret", "all:key:"};
    g_autoptr(GuestKeys) keys = guest_keys_new();
    unsigned at = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GError) error = NULL;

        assert_false(guest_keys_add(keys, BAD[i], &error));
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
        assert_null(strstr(error->message, "secret"));
    }
    assert_true(guest_keys_add(keys, "all:key:a:b", NULL));
    assert_string_equal(keys_next(keys, "/dev/sda", "/dev/sda1", NULL, &at), "a:b");
}

static void
a_file_of_a_key_must_be_private(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestKeys) keys = guest_keys_new();
    g_autofree char *path = g_build_filename(dir, "key", NULL);
    g_autofree char *selector = g_strdup_printf("all:file:%s", path);
    unsigned at = 0;

    assert_true(g_file_set_contents(path, "secret\n", -1, NULL));
    assert_int_equal(chmod(path, 0644), 0);
    assert_false(guest_keys_add(keys, selector, NULL));
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(guest_keys_add(keys, selector, NULL));
    assert_string_equal(keys_next(keys, "/dev/sda", "/dev/sda1", NULL, &at), "secret");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_tried_on_what_its_name_says),
        cmocka_unit_test(a_passphrase_may_hold_colons_and_stands_in_no_message),
        cmocka_unit_test_setup_teardown(a_file_of_a_key_must_be_private, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
