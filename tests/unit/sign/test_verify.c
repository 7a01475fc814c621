// SPDX-License-Identifier: Apache-2.0
/* Verification against real signatures: the good ones, and every kind that must be refused with its own sentence. */
#include "sign/sign.h"

#include "base/error.h"
#include "gpg_fixture.h"

#define TEXT "# version: 1\n\n[a]\nfile=a.xz\nnotes=one\n \n two \n\n"

/* Every key of the fixture: its user id, algorithm, and options and expiry at its making. */
static const struct {
    const char *user_id, *algorithm, *usage, *expire, *options;
} KEYS[] = {
    {"good", "ed25519", "sign", "never", "--faked-system-time 20200101T000000!"},
    {"other", "ed25519", "sign", "never", ""},
    {"rsa", "rsa2048", "sign", "never", ""},
    {"weak", "rsa1024", "sign", "never", ""},
    {"dsa", "dsa1024", "sign", "never", ""},
    {"expired", "ed25519", "sign", "1d", "--faked-system-time 20200101T000000!"},
    {"revoked", "ed25519", "sign", "never", ""},
    {"parent", "ed25519", "cert", "never", ""},
};

static void
revoke_key(const char *user_id)
{
    g_autofree char *fingerprint = key_fingerprint(user_id);
    g_autofree char *name = g_strdup_printf("h/openpgp-revocs.d/%s.rev", fingerprint);
    g_autoptr(GBytes) bytes = fixture_read(name);
    g_autofree char *text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    char *start = strstr(text, ":-----BEGIN");

    /* The colon keeps people from revoking by accident. */
    assert_non_null(start);
    fixture_write("revocation", start + 1, strlen(start + 1));
    gpg_do("--import revocation");
}

static int
set_up(void **state G_GNUC_UNUSED)
{
    g_autofree char *parent = NULL;

    fixture_init();
    fixture_write("text", TEXT, strlen(TEXT));
    for (size_t i = 0; i < G_N_ELEMENTS(KEYS); i++)
        gpg_do("%s --quick-gen-key '%s' %s %s %s", KEYS[i].options, KEYS[i].user_id, KEYS[i].algorithm,
               KEYS[i].usage, KEYS[i].expire);
    parent = key_fingerprint("parent");
    gpg_do("--quick-add-key %s ed25519 sign never", parent);
    gpg_do("--local-user =revoked --output revoked.asc --clearsign text");
    gpg_do("--local-user =revoked --output revoked.sig --detach-sign text");
    revoke_key("revoked");
    return 0;
}

static int
tear_down(void **state G_GNUC_UNUSED)
{
    fixture_clear();
    return 0;
}

typedef struct {
    const char *what;    /* for the message of a failing test */
    const char *options; /* of the gpg that signs; NULL: signed in set_up() */
    const char *keys;    /* user ids whose public keys are at hand */
    const char *pin;     /* user id */
    const char *expect;  /* in the message; NULL: accepted */
} Case;

static const Case CASES[] = {
    {"a good signature", "--local-user =good", "=good", "good", NULL},
    {"an RSA signature", "--local-user =rsa", "=rsa", "rsa", NULL},
    {"a subkey of the pinned key", "--local-user =parent", "=parent", "parent", NULL},
    {"more keys at hand than pinned", "--local-user =good", "=other =good =rsa", "good", NULL},
    {"SHA-256", "--local-user =rsa --digest-algo SHA256", "=rsa", "rsa", NULL},
    {"a signature that holds on", "--local-user =good --default-sig-expire 14d", "=good", "good", NULL},
    {"a key that is not pinned", "--local-user =other", "=other =good", "good", "which is not pinned"},
    {"a key that is not at hand", "--local-user =other", "=good", "good", "which is not pinned"},
    {"no pinned key at hand", "--local-user =other", "=other", "good", "is not at hand"},
    {"an expired signature",
     "--faked-system-time 20200102T000000! --local-user =good --default-sig-expire 1d", "=good", "good",
     "expired on 2020-01-03"},
    {"an expired key", "--faked-system-time 20200101T010000! --local-user =expired", "=expired", "expired",
     "has expired"},
    {"a revoked key", NULL, "=revoked", "revoked", "was revoked"},
    {"SHA-1", "--local-user =rsa --digest-algo SHA1", "=rsa", "rsa", "uses SHA1"},
    {"RIPEMD-160", "--local-user =rsa --digest-algo RIPEMD160", "=rsa", "rsa", "uses RIPEMD160"},
    {"a short RSA key", "--local-user =weak", "=weak", "weak", "only 1024 bits"},
    {"a short DSA key", "--local-user =dsa --digest-algo SHA256", "=dsa", "dsa", "only 1024 bits"},
    {"two signatures", "--local-user =good --local-user =rsa", "=good =rsa", "good", "exactly one"},
};

static void
check(const Case *item, SignVerified *verified, const GError *error, const char *fingerprint)
{
    if (item->expect == NULL && verified == NULL)
        fail_msg("%s: %s", item->what, error->message);
    if (item->expect != NULL && verified != NULL)
        fail_msg("%s: was accepted", item->what);
    if (verified != NULL)
        assert_string_equal(verified->fingerprint, fingerprint);
    else if (error->code != BASE_ERROR_UNTRUSTED || strstr(error->message, item->expect) == NULL)
        fail_msg("%s: unexpected message: %s", item->what, error->message);
}

static void
clear_signed_messages_are_judged(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const Case *item = &CASES[i];
        g_autofree char *pin = key_fingerprint(item->pin);
        const char *pins[] = {pin, NULL};
        g_autoptr(GBytes) keys = key_export(item->keys);
        g_autoptr(GBytes) message = NULL;
        g_autoptr(SignVerified) verified = NULL;
        g_autoptr(GError) error = NULL;

        if (item->options != NULL)
            gpg_do("%s --output message --clearsign text", item->options);
        message = fixture_read(item->options != NULL ? "message" : "revoked.asc");
        verified = sign_verify_clear(message, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, &error);
        check(item, verified, error, pin);
    }
}

static void
detached_signatures_are_judged(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const Case *item = &CASES[i];
        g_autofree char *pin = key_fingerprint(item->pin);
        const char *pins[] = {pin, NULL};
        g_autoptr(GBytes) keys = key_export(item->keys);
        g_autoptr(GBytes) signature = NULL;
        g_autoptr(SignVerified) verified = NULL;
        g_autoptr(GError) error = NULL;

        /* Armoured or not by turns. */
        if (item->options != NULL)
            gpg_do("%s %s --output signature --detach-sign text", item->options, i % 2 == 0 ? "--armor" : "");
        signature = fixture_read(item->options != NULL ? "signature" : "revoked.sig");
        verified = sign_verify_detached(text, signature,
                                        &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, &error);
        check(item, verified, error, pin);
        if (verified != NULL)
            assert_true(g_bytes_equal(verified->text, text));
    }
}

/* subkey_fingerprint: of the @n-th subkey of @user_id, from 1. */
static char *
subkey_fingerprint(const char *user_id, unsigned n)
{
    g_autofree char *output = gpg("--with-colons --list-keys '=%s'", user_id);
    const char *at = output;

    for (unsigned i = 0; i <= n; i++) {
        at = strstr(at, "\nfpr:::::::::");
        assert_non_null(at);
        at += strlen("\nfpr:::::::::");
    }
    return g_strndup(at, SIGN_FINGERPRINT_DIGITS);
}

/* A key "family" with three signing subkeys: good, expired, revoked. */
static void
make_family(void)
{
    static const char answers[] = "key 3\nrevkey\ny\n0\n\ny\nsave\n";
    g_autofree char *primary = NULL;

    gpg_do("--faked-system-time 20200101T000000! --quick-gen-key family ed25519 cert never");
    primary = key_fingerprint("family");
    gpg_do("--faked-system-time 20200101T000000! --quick-add-key %s ed25519 sign never", primary);
    gpg_do("--faked-system-time 20200101T000000! --quick-add-key %s ed25519 sign 1d", primary);
    gpg_do("--faked-system-time 20200101T000000! --quick-add-key %s rsa2048 sign never", primary);
    for (unsigned n = 1; n <= 3; n++) {
        g_autofree char *subkey = subkey_fingerprint("family", n);

        gpg_do(
            "--faked-system-time 20200101T010000! --local-user %s! --output family%u.sig --detach-sign text",
            subkey, n);
    }
    fixture_write("answers", answers, strlen(answers));
    gpg_do("--no-batch --no-tty --command-file answers --edit-key %s", primary);
}

static void
subkeys_are_judged_one_by_one(void **state G_GNUC_UNUSED)
{
    static const struct {
        unsigned signer, pinned; /* number of the subkey; 0: the primary key */
        const char *expect;
    } ROWS[] = {
        {1, 0, NULL},          {1, 1, NULL},          {1, 2, "which is not pinned"}, {2, 0, "has expired"},
        {2, 2, "has expired"}, {3, 0, "was revoked"}, {3, 3, "was revoked"},
    };
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));
    g_autoptr(GBytes) keys = NULL;
    g_autofree char *primary = NULL;

    make_family();
    primary = key_fingerprint("family");
    keys = key_export("=family");
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autofree char *name = g_strdup_printf("family%u.sig", ROWS[i].signer);
        g_autofree char *pin = subkey_fingerprint("family", ROWS[i].pinned);
        const char *pins[] = {pin, NULL};
        g_autoptr(GBytes) signature = fixture_read(name);
        g_autoptr(GError) error = NULL;
        g_autoptr(SignVerified) verified = sign_verify_detached(
            text, signature, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, &error);

        if ((verified != NULL) != (ROWS[i].expect == NULL))
            fail_msg("row %zu: %s", i, error != NULL ? error->message : "was accepted");
        if (verified != NULL) {
            assert_string_equal(verified->fingerprint, primary);
            assert_string_equal(verified->pin, pin);
            assert_int_equal(verified->key_expires_at, 0);
        } else if (error->code != BASE_ERROR_UNTRUSTED || strstr(error->message, ROWS[i].expect) == NULL) {
            fail_msg("row %zu: unexpected message: %s", i, error->message);
        }
    }
}

static void
the_keys_expiry_comes_with_the_verdict(void **state G_GNUC_UNUSED)
{
    g_autofree char *pin = NULL;
    const char *pins[] = {NULL, NULL};
    g_autoptr(GBytes) keys = NULL, text = g_bytes_new_static(TEXT, strlen(TEXT)), signature = NULL;
    g_autoptr(SignVerified) verified = NULL;

    gpg_do("--quick-gen-key brief ed25519 cert 9d");
    pins[0] = pin = key_fingerprint("brief");
    gpg_do("--quick-add-key %s ed25519 sign 4d", pin);
    gpg_do("--local-user =brief --output signature --detach-sign text");
    keys = key_export("=brief");
    signature = fixture_read("signature");
    verified =
        sign_verify_detached(text, signature, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL);
    assert_non_null(verified);
    assert_true(verified->key_expires_at - verified->signed_at > 3 * 24 * 60 * 60);
    assert_true(verified->key_expires_at - verified->signed_at < 5 * 24 * 60 * 60);
}

static void
a_weak_digest_passes_by_policy_alone(void **state G_GNUC_UNUSED)
{
    g_autofree char *pin = key_fingerprint("rsa");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=rsa"), message = NULL;
    SignCheck check = {.keys = keys, .pins = pins, .policy = SIGN_ALLOW_WEAK_DIGEST, .name = "x"};
    g_autoptr(SignVerified) verified = NULL;
    g_autoptr(GError) error = NULL;

    gpg_do("--local-user =rsa --digest-algo SHA1 --output message --clearsign text");
    message = fixture_read("message");
    verified = sign_verify_clear(message, &check, &error);
    assert_non_null(verified);
    check.policy = SIGN_STRICT;
    assert_null(sign_verify_clear(message, &check, &error));
    assert_non_null(strstr(error->message, "uses SHA1"));
}

/* A cleartext signature does not cover blanks at line ends: adding some changes nothing, and what is handed on has
 * none of them. */
static void
blanks_at_line_ends_change_nothing(void **state G_GNUC_UNUSED)
{
    g_autofree char *pin = key_fingerprint("good");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=good"), good = NULL, edited = NULL;
    SignCheck check = {.keys = keys, .pins = pins, .name = "x"};
    g_autoptr(SignVerified) first = NULL, second = NULL;
    GString *text;

    gpg_do("--local-user =good --output message --clearsign text");
    good = fixture_read("message");
    text = g_string_new_len(g_bytes_get_data(good, NULL), (gssize)g_bytes_get_size(good));
    assert_int_equal(g_string_replace(text, "file=a.xz\n", "file=a.xz \t \n", 0), 1);
    edited = g_string_free_to_bytes(text);
    first = sign_verify_clear(good, &check, NULL);
    second = sign_verify_clear(edited, &check, NULL);
    assert_true(first != NULL && second != NULL && g_bytes_equal(first->text, second->text));
}

static void
no_data_is_refused(void **state G_GNUC_UNUSED)
{
    g_autofree char *pin = key_fingerprint("good");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=good"), nothing = g_bytes_new_static("", 0);
    g_autoptr(GBytes) text = g_bytes_new_static(TEXT, strlen(TEXT));
    SignCheck check = {.keys = keys, .pins = pins, .name = "x"};
    g_autoptr(GError) error = NULL;

    assert_null(sign_verify_clear(nothing, &check, &error));
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    g_clear_error(&error);
    assert_null(sign_verify_detached(text, nothing, &check, &error));
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    g_clear_error(&error);
    check.keys = nothing;
    assert_null(sign_verify_detached(text, nothing, &check, &error));
}

static void
expect_refused(GBytes *message, const char *expect)
{
    g_autofree char *pin = key_fingerprint("good");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=good");
    g_autoptr(GError) error = NULL;
    g_autoptr(SignVerified) verified =
        sign_verify_clear(message, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, &error);

    assert_null(verified);
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    if (strstr(error->message, expect) == NULL)
        fail_msg("unexpected message: %s", error->message);
}

static void
a_changed_message_is_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *from, *to, *expect;
    } CHANGES[] = {
        {"file=a.xz", "file=b.xz", "was changed after"},
        {"-----BEGIN PGP SIGNED", "text\n-----BEGIN PGP SIGNED", "does not begin"},
        {"-----END PGP SIGNATURE-----\n", "-----END PGP SIGNATURE-----\ntext\n", "text follows"},
        {"-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP SIGNATURE", "unescaped dash"},
        {"-----END PGP SIGNATURE-----\n", "", "cut short"},
        {"Hash: SHA512\n\n", "Hash: SHA512\n \n", "only 'Hash:' lines"},
        {"Hash: SHA512\n", "NotDashEscaped: x\n", "only 'Hash:' lines"},
    };
    g_autoptr(GBytes) good = NULL;
    g_autofree char *text = NULL;

    gpg_do("--local-user =good --digest-algo SHA512 --output message --clearsign text");
    good = fixture_read("message");
    text = g_strndup(g_bytes_get_data(good, NULL), g_bytes_get_size(good));
    for (size_t i = 0; i < G_N_ELEMENTS(CHANGES); i++) {
        GString *changed = g_string_new(text);
        g_autoptr(GBytes) message = NULL;

        assert_int_equal(g_string_replace(changed, CHANGES[i].from, CHANGES[i].to, 1), 1);
        message = g_string_free_to_bytes(changed);
        expect_refused(message, CHANGES[i].expect);
    }
    for (size_t size = 0; size < strlen(text); size += 37) {
        g_autoptr(GBytes) part = g_bytes_new(text, size);

        expect_refused(part, "x:");
    }
    {
        g_autofree char *twice = g_strconcat(text, text, NULL);
        g_autoptr(GBytes) message = g_bytes_new(twice, strlen(twice));

        expect_refused(message, "text follows");
    }
}

static void
the_signed_text_alone_comes_back(void **state G_GNUC_UNUSED)
{
    g_autofree char *pin = key_fingerprint("good");
    g_autofree char *lower = g_ascii_strdown(pin, -1);
    const char *pins[] = {lower, NULL};
    g_autoptr(GBytes) keys = key_export("=good");
    g_autoptr(GBytes) message = NULL;
    g_autoptr(SignVerified) verified = NULL;
    gsize size;
    const char *text;

    gpg_do("--local-user =good --default-sig-expire 3d --output message --clearsign text");
    message = fixture_read("message");
    verified = sign_verify_clear(message, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL);
    assert_non_null(verified);
    text = g_bytes_get_data(verified->text, &size);
    /* A cleartext signature does not cover blanks at line ends, so they are not handed on. */
    assert_int_equal(size, strlen("# version: 1\n\n[a]\nfile=a.xz\nnotes=one\n\n two\n\n"));
    assert_memory_equal(text, "# version: 1\n\n[a]\nfile=a.xz\nnotes=one\n\n two\n\n", size);
    assert_int_equal(verified->expires_at - verified->signed_at, 3 * 24 * 60 * 60);
}

static void
a_signature_file_with_another_text_inside_is_refused(void **state G_GNUC_UNUSED)
{
    g_autofree char *pin = key_fingerprint("good");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=good");
    g_autoptr(GBytes) text = g_bytes_new_static("evil\n", 5);
    g_autoptr(GBytes) message = NULL;
    g_autoptr(GError) error = NULL;

    gpg_do("--local-user =good --output message --sign text");
    message = fixture_read("message");
    assert_null(
        sign_verify_detached(text, message, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, &error));
    assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    assert_non_null(strstr(error->message, "not exactly one OpenPGP signature"));
}

static void
verification_leaves_nothing_behind(void **state G_GNUC_UNUSED)
{
    g_autofree char *runtime = fixture_path("run");
    g_autofree char *pin = key_fingerprint("good");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=good");
    g_autoptr(GBytes) message = NULL;
    g_autoptr(SignVerified) verified = NULL;
    g_autoptr(GDir) dir = NULL;

    gpg_do("--local-user =good --output message --clearsign text");
    message = fixture_read("message");
    assert_int_equal(g_mkdir(runtime, 0700), 0);
    g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
    verified = sign_verify_clear(message, &(SignCheck){.keys = keys, .pins = pins, .name = "x"}, NULL);
    g_unsetenv("XDG_RUNTIME_DIR");
    assert_non_null(verified);
    dir = g_dir_open(runtime, 0, NULL);
    assert_null(g_dir_read_name(dir));
}

static void
a_pin_that_is_no_full_fingerprint_is_refused(void **state G_GNUC_UNUSED)
{
    static const char *const BAD[] = {"", "good", "0123456789ABCDEF", "g@example.org",
                                      "0123456789012345678901234567890123456789A"};

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(sign_normal_fingerprint(BAD[i], &error));
        assert_int_equal(error->code, BASE_ERROR_USAGE);
        assert_false(sign_is_fingerprint(BAD[i]));
    }
    {
        g_autofree char *normal = sign_normal_fingerprint("c3d1 4f2b14ce62834c64FB5C281EF0E5FBD2A994", NULL);

        assert_string_equal(normal, "C3D14F2B14CE62834C64FB5C281EF0E5FBD2A994");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear_signed_messages_are_judged),
        cmocka_unit_test(detached_signatures_are_judged),
        cmocka_unit_test(subkeys_are_judged_one_by_one),
        cmocka_unit_test(the_keys_expiry_comes_with_the_verdict),
        cmocka_unit_test(a_weak_digest_passes_by_policy_alone),
        cmocka_unit_test(blanks_at_line_ends_change_nothing),
        cmocka_unit_test(no_data_is_refused),
        cmocka_unit_test(a_changed_message_is_refused),
        cmocka_unit_test(the_signed_text_alone_comes_back),
        cmocka_unit_test(a_signature_file_with_another_text_inside_is_refused),
        cmocka_unit_test(verification_leaves_nothing_behind),
        cmocka_unit_test(a_pin_that_is_no_full_fingerprint_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
