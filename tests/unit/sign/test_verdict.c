// SPDX-License-Identifier: Apache-2.0
/* A remembered verdict stands for exactly what it was given on, for as long as it holds, and in a file of our own. */
#include "sign/verdict.h"

#include "gpg_fixture.h"

#include <sys/stat.h>

#define PIN "0123456789ABCDEF0123456789ABCDEF01234567"
#define OTHER "0123456789ABCDEF0123456789ABCDEF01234568"

static int
set_up(void **state G_GNUC_UNUSED)
{
    fixture_init();
    return 0;
}

static int
tear_down(void **state G_GNUC_UNUSED)
{
    fixture_clear();
    return 0;
}

static char *
id_of(const char *message, const char *text, const char *keys, const char *pin, SignPolicy policy)
{
    g_autoptr(GBytes) message_bytes = g_bytes_new(message, strlen(message));
    g_autoptr(GBytes) text_bytes = text != NULL ? g_bytes_new(text, strlen(text)) : NULL;
    g_autoptr(GBytes) key_bytes = g_bytes_new(keys, strlen(keys));
    const char *pins[] = {pin, NULL};

    return sign_verdict_id(message_bytes, text_bytes,
                           &(SignCheck){.keys = key_bytes, .pins = pins, .policy = policy, .name = "x"},
                           pins);
}

static void
any_other_input_is_another_verdict(void **state G_GNUC_UNUSED)
{
    char *ids[] = {
        id_of("signature", "text", "keys", PIN, SIGN_STRICT),
        id_of("signature", "texu", "keys", PIN, SIGN_STRICT),
        id_of("signaturd", "text", "keys", PIN, SIGN_STRICT),
        id_of("signature", "text", "keyt", PIN, SIGN_STRICT),
        id_of("signature", "text", "keys", OTHER, SIGN_STRICT),
        id_of("signature", "text", "keys", PIN, SIGN_ALLOW_WEAK_DIGEST),
        id_of("signaturetext", NULL, "keys", PIN, SIGN_STRICT),
        id_of("signatur", "etext", "keys", PIN, SIGN_STRICT),
        id_of("signature", "", "textkeys", PIN, SIGN_STRICT),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
        g_free(ids[i]);
}

static void
a_verdict_holds_until_something_expires(void **state G_GNUC_UNUSED)
{
    static const struct {
        int64_t signed_at, expires_at, key_expires_at, now;
        bool is_found;
    } ROWS[] = {
        {100, 0, 0, 100, true},    {100, 0, 0, 1000000, true},  {100, 0, 0, 99, false},
        {100, 200, 0, 199, true},  {100, 200, 0, 200, false},   {100, 0, 200, 199, true},
        {100, 0, 200, 200, false}, {100, 300, 200, 250, false}, {100, 200, 300, 250, false},
    };
    g_autofree char *path = fixture_path("v/src/verdict");
    g_autofree char *id = id_of("message", NULL, "keys", PIN, SIGN_STRICT);

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autoptr(GBytes) text = g_bytes_new_static("the\0text\n", 9);
        SignVerified verified = {.text = text,
                                 .fingerprint = (char *)PIN,
                                 .pin = (char *)OTHER,
                                 .signed_at = ROWS[i].signed_at,
                                 .expires_at = ROWS[i].expires_at,
                                 .key_expires_at = ROWS[i].key_expires_at};
        g_autoptr(SignVerified) found = NULL;

        sign_verdict_store(path, id, NULL, &verified);
        found = sign_verdict_lookup(path, id, NULL, ROWS[i].now);
        if ((found != NULL) != ROWS[i].is_found)
            fail_msg("row %zu", i);
        if (found != NULL) {
            assert_true(g_bytes_equal(found->text, text));
            assert_string_equal(found->fingerprint, PIN);
            assert_string_equal(found->pin, OTHER);
        }
    }
}

static void
a_file_that_others_could_have_written_is_not_read(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = fixture_path("w/src/verdict"), *folder = fixture_path("w/src");
    g_autofree char *id = id_of("message", "text", "keys", PIN, SIGN_STRICT);
    g_autofree char *other = id_of("message", "tex", "keys", PIN, SIGN_STRICT);
    g_autoptr(GBytes) text = g_bytes_new_static("text", 4);
    SignVerified verified = {.text = text, .fingerprint = (char *)PIN, .pin = (char *)PIN, .signed_at = 1};
    g_autoptr(SignVerified) found = NULL;
    struct stat info;

    sign_verdict_store(path, id, text, &verified);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_null(sign_verdict_lookup(path, other, text, 2));
    found = sign_verdict_lookup(path, id, text, 2);
    assert_true(found != NULL && g_bytes_equal(found->text, text));
    assert_int_equal(g_chmod(path, 0620), 0);
    assert_null(sign_verdict_lookup(path, id, text, 2));
    assert_true(g_file_set_contents(path, "rubbish", -1, NULL));
    assert_int_equal(g_chmod(path, 0600), 0);
    assert_null(sign_verdict_lookup(path, id, text, 2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_other_input_is_another_verdict),
        cmocka_unit_test(a_verdict_holds_until_something_expires),
        cmocka_unit_test(a_file_that_others_could_have_written_is_not_read),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
