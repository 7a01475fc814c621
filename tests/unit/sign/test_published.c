// SPDX-License-Identifier: Apache-2.0
/* Signed indexes as they were really published; skipped where they are absent. */
#include "data_folder.h"
#include "sign/sign.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OFFICIAL_KEY "F7774FB1AD074A7E8C8767EA91738F73E1B768A0"
#define BROKEN "20151027-180045-271deca81d.index.asc" /* published with a bad signature */
#define EXPIRED_KEY "38D251BDD0635943371F06B4AE3D179B618F7D13"

static GBytes *
read_data(const char *folder, const char *name)
{
    g_autofree char *data_dir = data_folder();
    g_autofree char *path = g_build_filename(data_dir, folder, name, NULL);
    char *data;
    gsize size;

    if (!g_file_get_contents(path, &data, &size, NULL))
        fail_msg("%s: cannot be read", path);
    return g_bytes_new_take(data, size);
}

static SignVerified *
verify(GBytes *message, GBytes *keys, const char *pin, SignPolicy policy, GError **error)
{
    const char *pins[] = {pin, NULL};

    return sign_verify_clear(message, &(SignCheck){.keys = keys, .pins = pins, .policy = policy, .name = "x"},
                             error);
}

static void
historic_official_indexes_need_the_policy_switch(void **state G_GNUC_UNUSED)
{
    g_autofree char *data_dir = data_folder();
    g_autofree char *folder = g_build_filename(data_dir, "official-index", NULL);
    g_autoptr(GDir) dir = NULL;
    g_autoptr(GBytes) keys = NULL;
    unsigned weak = 0, strong = 0, bad = 0;

    dir = g_dir_open(folder, 0, NULL);
    assert_non_null(dir);
    keys = read_data("keys", "libguestfs.gpg");
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autoptr(GBytes) message = read_data("official-index", name);
        g_autoptr(GError) strict_error = NULL, error = NULL;
        g_autoptr(SignVerified) strict = verify(message, keys, OFFICIAL_KEY, SIGN_STRICT, &strict_error);
        g_autoptr(SignVerified) lax = verify(message, keys, OFFICIAL_KEY, SIGN_ALLOW_WEAK_DIGEST, &error);

        if ((lax != NULL) == (strcmp(name, BROKEN) == 0))
            fail_msg("%s: %s", name, error != NULL ? error->message : "was accepted");
        if (lax == NULL)
            bad++;
        else if (strict != NULL)
            strong++;
        else if (strstr(strict_error->message, "uses SHA1, which can be forged") != NULL)
            weak++;
        else
            fail_msg("%s: unexpected message: %s", name, strict_error->message);
    }
    assert_int_equal(bad, 1);
    assert_int_equal(weak + strong, 18);
    assert_true(weak > 0);
}

static void
a_repository_signed_by_an_expired_key_is_refused(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) message = NULL, keys = NULL;
    g_autoptr(GError) error = NULL;

    message = read_data("third-party", "index.asc");
    keys = read_data("third-party", "ubuntu20.gpg");
    assert_null(verify(message, keys, EXPIRED_KEY, SIGN_ALLOW_WEAK_DIGEST, &error));
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    if (strstr(error->message, "has expired; get the publisher's renewed key") == NULL)
        fail_msg("unexpected message: %s", error->message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(historic_official_indexes_need_the_policy_switch),
        cmocka_unit_test(a_repository_signed_by_an_expired_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
