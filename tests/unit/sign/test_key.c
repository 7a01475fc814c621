// SPDX-License-Identifier: Apache-2.0
/* Making keys, signing with them, and choosing one key of many. */
#include "sign/sign.h"

#include "gpg_fixture.h"

#include <sys/stat.h>

#define TEXT "# version: 1\n\n[a]\nnotes=one\n \n two\n\n"

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

/* agent_ends: an agent that was told to go takes its socket along, in its own time. */
static bool
agent_ends(const char *home)
{
    g_autofree char *socket = g_build_filename(home, "S.gpg-agent", NULL);
    const gint64 deadline = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;

    while (g_file_test(socket, G_FILE_TEST_EXISTS)) {
        if (g_get_monotonic_time() > deadline)
            return false;
        g_usleep(10 * 1000);
    }
    return true;
}

static void
a_new_key_signs_what_its_fingerprint_verifies(void **state G_GNUC_UNUSED)
{
    static const SignKeyKind KINDS[] = {SIGN_KEY_ED25519, SIGN_KEY_RSA3072};
    static const char *const NAMES[] = {"k/ed25519", "k/rsa"};
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));

    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++) {
        g_autofree char *home = fixture_path(NAMES[i]);
        g_autofree char *made = sign_key_create(home, KINDS[i], "Images <images@example.org>", 0, NULL, NULL);
        g_autofree char *found = sign_key_fingerprint(home, NULL);
        const char *pins[] = {made, NULL};
        g_autoptr(GBytes) keys = sign_key_export(home, NULL);
        g_autoptr(GBytes) clear = NULL;
        g_autoptr(GBytes) detached = NULL;
        g_autoptr(SignVerified) verified = NULL;
        g_autoptr(SignVerified) own = NULL;
        struct stat info;

        assert_non_null(made);
        assert_string_equal(found, made);
        assert_int_equal(stat(home, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0700);
        assert_true(sign_index(home, text, 14, &clear, &detached, NULL));
        assert_true(agent_ends(home));
        verified =
            sign_verify_detached(text, detached, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL);
        assert_non_null(verified);
        assert_int_equal(verified->expires_at - verified->signed_at, 14 * 24 * 60 * 60);
        sign_verified_free(g_steal_pointer(&verified));
        verified = sign_verify_clear(clear, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL);
        assert_non_null(verified);
        own = sign_verify_own(home, text, detached, "x", NULL);
        assert_non_null(own);
        assert_string_equal(own->fingerprint, made);
    }
}

static void
only_the_publisher_accepts_his_expired_signature(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("h");
    g_autofree char *pin = NULL;
    const char *pins[] = {NULL, NULL};
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));
    g_autoptr(GBytes) evil = g_bytes_new_static("evil", 4);
    g_autoptr(GBytes) keys = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(SignVerified) own = NULL;

    gpg_do("--faked-system-time 20200101T000000! --quick-gen-key old ed25519 sign never");
    fixture_write("text", TEXT, strlen(TEXT));
    gpg_do(
        "--faked-system-time 20200102T000000! --default-sig-expire 1d --output signature --detach-sign text");
    signature = fixture_read("signature");
    pins[0] = pin = key_fingerprint("old");
    keys = key_export("=old");
    assert_null(
        sign_verify_detached(text, signature, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL));
    own = sign_verify_own(home, text, signature, "x", NULL);
    assert_non_null(own);
    assert_null(sign_verify_own(home, evil, signature, "x", NULL));
}

static void
blanks_that_separate_paragraphs_survive_signing(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("k/blanks");
    g_autofree char *made = sign_key_create(home, SIGN_KEY_ED25519, "images", 0, NULL, NULL);
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));
    g_autoptr(GBytes) clear = NULL;
    g_autoptr(GBytes) detached = NULL;
    g_autofree char *message = NULL;

    assert_non_null(made);
    assert_true(sign_index(home, text, 1, &clear, &detached, NULL));
    message = g_strndup(g_bytes_get_data(clear, NULL), g_bytes_get_size(clear));
    assert_non_null(strstr(message, "\n\n" TEXT "-----BEGIN PGP SIGNATURE-----\n"));
}

static void
a_home_that_exists_is_left_alone(void **state G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;

    assert_null(sign_key_create(fixture_dir, SIGN_KEY_ED25519, "images", 0, NULL, &error));
    assert_int_equal(error->code, BASE_ERROR_EXISTS);
}

static void
a_home_too_long_for_a_socket_is_refused(void **state G_GNUC_UNUSED)
{
    g_autofree char *name = g_strnfill(90, 'x');
    g_autofree char *home = fixture_path(name);
    g_autoptr(GError) error = NULL;

    assert_null(sign_key_create(home, SIGN_KEY_ED25519, "images", 0, NULL, &error));
    assert_non_null(strstr(error->message, "at most 87 bytes"));
    assert_false(g_file_test(home, G_FILE_TEST_EXISTS));
}

static void
a_home_without_a_key_is_not_found(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("nothing");
    g_autoptr(GError) error = NULL;

    assert_null(sign_key_fingerprint(home, &error));
    assert_int_equal(error->code, BASE_ERROR_NOT_FOUND);
}

static void
what_a_killed_creation_left_is_removed(void **state G_GNUC_UNUSED)
{
    g_autofree char *keys = fixture_path("left");
    g_autofree char *dead = fixture_path("left/.new-ABCDEF");
    g_autofree char *home = fixture_path("left/key");
    g_autofree char *made = NULL;

    assert_int_equal(g_mkdir(keys, 0700), 0);
    assert_int_equal(g_mkdir(dead, 0700), 0);
    made = sign_key_create(home, SIGN_KEY_ED25519, "images", 0, NULL, NULL);
    assert_non_null(made);
    assert_false(g_file_test(dead, G_FILE_TEST_EXISTS));
}

static void
one_key_is_chosen_of_many(void **state G_GNUC_UNUSED)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *found = NULL;
    g_autoptr(GBytes) both = NULL;
    g_autoptr(GBytes) one = NULL;
    g_autoptr(GBytes) again = NULL;
    g_autoptr(GError) error = NULL;

    gpg_do("--quick-gen-key first ed25519 sign never");
    gpg_do("--quick-gen-key second ed25519 sign never");
    first = key_fingerprint("first");
    second = key_fingerprint("second");
    both = key_export("=first =second");
    one = sign_select_key(both, second, &found, NULL);
    assert_non_null(one);
    assert_string_equal(found, second);
    g_clear_pointer(&found, g_free);
    again = sign_select_key(one, NULL, &found, NULL);
    assert_non_null(again);
    assert_string_equal(found, second);

    assert_null(sign_select_key(both, NULL, NULL, &error));
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    g_clear_error(&error);
    assert_null(sign_select_key(one, first, NULL, &error));
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
}

static void
what_is_no_key_is_refused(void **state G_GNUC_UNUSED)
{
    static const char *const BAD[] = {"", "text", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"};

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GBytes) keys = g_bytes_new_static(BAD[i], strlen(BAD[i]));
        g_autoptr(GError) error = NULL;

        assert_null(sign_select_key(keys, NULL, NULL, &error));
        assert_non_null(error);
    }
}

static void
a_secret_key_comes_back_as_its_public_half_or_not_at_all(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) secret = NULL;
    g_autoptr(GBytes) key = NULL;

    gpg_do("--quick-gen-key secret ed25519 sign never");
    gpg_do("--armor --output secret --export-secret-keys =secret");
    secret = fixture_read("secret");
    key = sign_select_key(secret, NULL, NULL, NULL);
    if (key != NULL) {
        g_autofree char *text = g_strndup(g_bytes_get_data(key, NULL), g_bytes_get_size(key));

        assert_null(strstr(text, "PRIVATE"));
    }
}

/* signed_by: the (sub)key whose fingerprint GnuPG names for a detached signature made in @home. */
static char *
signed_by(const char *home, const SignSecret *secret)
{
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));
    g_autoptr(GBytes) keys = sign_key_export(home, NULL), signature = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(SignKey) key = sign_key_read(home, NULL);

    signature = sign_detached(home, text, secret, &error);
    if (signature == NULL)
        fail_msg("%s", error->message);
    for (guint i = 0; i < key->subkeys->len; i++) {
        const char *pins[] = {((const SignSubkey *)g_ptr_array_index(key->subkeys, i))->fingerprint, NULL};
        g_autoptr(SignVerified) verified = sign_verify_detached(
            text, signature, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL);

        assert_true(verified == NULL || verified->expires_at == 0);
        if (verified != NULL && i > 0) /* the primary key's pin is satisfied by any subkey */
            return g_strdup(pins[0]);
    }
    return g_strdup(sign_key_primary(key)->fingerprint);
}

static void
subkeys_take_turns(void **state G_GNUC_UNUSED)
{
    static const SignKeyKind KINDS[] = {SIGN_KEY_ED25519, SIGN_KEY_RSA3072};
    static const char *const NAMES[] = {"t/ed25519", "t/rsa"}, *const ALGORITHMS[] = {"ed25519", "rsa3072"};

    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++) {
        g_autofree char *home = fixture_path(NAMES[i]);
        g_autofree char *primary = sign_key_create(home, KINDS[i], "images", 0, NULL, NULL);
        g_autofree char *next = sign_key_prepare(home, 30, NULL), *again = sign_key_prepare(home, 30, NULL);
        g_autofree char *before = signed_by(home, NULL), *after = NULL, *third = NULL;
        g_autoptr(SignKey) key = sign_key_read(home, NULL);
        const SignSubkey *subkey = sign_key_subkey(key, next);

        /* Prepared, known to those who have the key, and not used yet. */
        assert_string_equal(next, again);
        assert_string_equal(before, primary);
        assert_int_equal(subkey->expires - subkey->created, 30 * 24 * 60 * 60);
        assert_string_equal(subkey->algorithm, ALGORITHMS[i]);
        assert_true(sign_key_use(home, next, NULL));
        after = signed_by(home, NULL);
        assert_string_equal(after, next);
        third = sign_key_prepare(home, 0, NULL);
        assert_string_not_equal(third, next);
        assert_true(agent_ends(home));
    }
}

static void
a_revoked_subkey_signs_no_more_and_its_revocation_stays(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("r/key");
    g_autofree char *primary = sign_key_create(home, SIGN_KEY_ED25519, "images", 0, NULL, NULL);
    g_autofree char *first = sign_key_prepare(home, 0, NULL), *second = NULL;
    const char *pins[] = {primary, NULL};
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT)), old_keys = NULL, new_keys = NULL;
    g_autoptr(GBytes) signature = NULL, merged = NULL, clear = NULL;
    g_autoptr(GPtrArray) blocks = g_ptr_array_new();
    g_autoptr(GError) error = NULL;

    assert_true(sign_key_use(home, first, NULL));
    old_keys = sign_key_export(home, NULL);
    signature = sign_detached(home, text, NULL, NULL);
    assert_true(sign_key_revoke(home, first, NULL));
    assert_false(sign_index(home, text, 1, &clear, &clear, &error));
    assert_non_null(strstr(error->message, "key show"));
    g_clear_error(&error);
    second = sign_key_prepare(home, 0, NULL);
    assert_string_not_equal(second, first);
    assert_true(sign_key_use(home, second, NULL));
    assert_false(sign_key_revoke(home, "0123456789012345678901234567890123456789", NULL));
    new_keys = sign_key_export(home, NULL);
    /* Whoever sends the old key again does not take the revocation back. */
    g_ptr_array_add(blocks, new_keys);
    g_ptr_array_add(blocks, old_keys);
    merged = sign_merge_keys(blocks, pins, NULL);
    assert_null(sign_verify_detached(text, signature, &(SignCheck){.keys = merged, .pins = pins, .name = "x"},
                                     &error));
    assert_non_null(strstr(error->message, "was revoked"));
    g_bytes_unref(signature);
    signature = sign_detached(home, text, NULL, NULL);
    {
        g_autoptr(SignVerified) verified = sign_verify_detached(
            text, signature, &(SignCheck){.keys = merged, .pins = pins, .name = "x"}, NULL);

        assert_non_null(verified);
    }
}

static void
a_revoked_key_is_revoked_as_a_whole(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("r/whole");
    g_autofree char *primary = sign_key_create(home, SIGN_KEY_ED25519, "images", 0, NULL, NULL);
    g_autoptr(SignKey) key = NULL;

    assert_true(sign_key_revoke(home, primary, NULL));
    key = sign_key_read(home, NULL);
    assert_true(sign_key_primary(key)->is_revoked);
}

static void
a_passphrase_comes_from_a_private_file(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("p/key"), *file = fixture_path("secret"),
                    *wrong = fixture_path("wrong");
    g_autofree char *made = NULL, *signer = NULL, *next = NULL, *by = NULL, *note = NULL;
    g_autofree char *other_note = fixture_path("note");
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));
    SignSecret secret = {.file = file}, bad = {.file = wrong};
    g_autoptr(GError) error = NULL;

    fixture_write("secret", "correct horse\nbattery\n", strlen("correct horse\nbattery\n"));
    fixture_write("wrong", "incorrect\n", strlen("incorrect\n"));
    assert_int_equal(g_chmod(file, 0640), 0);
    assert_null(sign_key_create(home, SIGN_KEY_ED25519, "images", 0, &secret, &error));
    assert_non_null(strstr(error->message, "others may read this passphrase"));
    assert_false(g_file_test(home, G_FILE_TEST_EXISTS));
    assert_true(g_chmod(file, 0600) == 0 && g_chmod(wrong, 0600) == 0);
    made = sign_key_create(home, SIGN_KEY_ED25519, "images", 0, &secret, NULL);
    assert_non_null(made);
    /* The place is remembered, and a wrong one is said to be wrong. */
    signer = signed_by(home, NULL);
    assert_string_equal(signer, made);
    g_clear_error(&error);
    assert_null(sign_detached(home, text, &bad, &error));
    assert_non_null(strstr(error->message, "another one than the key has"));
    note = g_build_filename(home, "passphrase-from", NULL);
    assert_int_equal(g_rename(note, other_note), 0);
    g_clear_error(&error);
    assert_null(sign_detached(home, text, NULL, &error));
    assert_non_null(
        strstr(error->message, "the key has a passphrase: say which file or credential holds it"));
    assert_int_equal(g_rename(other_note, note), 0);
    next = sign_key_prepare(home, 0, NULL);
    assert_true(sign_key_use(home, next, NULL));
    by = signed_by(home, &secret);
    assert_string_equal(by, next);
    assert_true(sign_key_revoke(home, next, NULL));
    assert_true(agent_ends(home));
    g_clear_error(&error);
    assert_int_equal(g_unlink(file), 0);
    assert_null(sign_key_prepare(home, 0, &error));
    assert_non_null(strstr(error->message, file));
}

static void
a_passphrase_comes_from_a_credential(void **state G_GNUC_UNUSED)
{
    g_autofree char *home = fixture_path("c/key");
    SignSecret secret = {.credential = "key"}, bad = {.credential = "../secret"};
    g_autofree char *made = NULL, *by = NULL;
    g_autoptr(GError) error = NULL;

    fixture_write("key", "from systemd", strlen("from systemd"));
    g_unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(sign_key_create(home, SIGN_KEY_ED25519, "images", 0, &secret, &error));
    assert_non_null(strstr(error->message, "LoadCredential"));
    g_setenv("CREDENTIALS_DIRECTORY", fixture_dir, TRUE);
    g_clear_error(&error);
    assert_null(sign_key_create(home, SIGN_KEY_ED25519, "images", 0, &bad, &error));
    assert_int_equal(error->code, BASE_ERROR_USAGE);
    made = sign_key_create(home, SIGN_KEY_ED25519, "images", 0, &secret, NULL);
    by = signed_by(home, NULL);
    assert_string_equal(by, made);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_key_signs_what_its_fingerprint_verifies),
        cmocka_unit_test(
            only_the_publisher_accepts_his_expired_signature), /* while it is the home's only key */
        cmocka_unit_test(blanks_that_separate_paragraphs_survive_signing),
        cmocka_unit_test(a_home_that_exists_is_left_alone),
        cmocka_unit_test(a_home_too_long_for_a_socket_is_refused),
        cmocka_unit_test(a_home_without_a_key_is_not_found),
        cmocka_unit_test(what_a_killed_creation_left_is_removed),
        cmocka_unit_test(one_key_is_chosen_of_many),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(subkeys_take_turns),
        cmocka_unit_test(a_revoked_subkey_signs_no_more_and_its_revocation_stays),
        cmocka_unit_test(a_revoked_key_is_revoked_as_a_whole),
        cmocka_unit_test(a_passphrase_comes_from_a_private_file),
        cmocka_unit_test(a_passphrase_comes_from_a_credential),
        cmocka_unit_test(a_secret_key_comes_back_as_its_public_half_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
