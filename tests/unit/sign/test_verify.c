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
        verified = sign_verify_clear(message, keys, pins, "x", &error);
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
        verified = sign_verify_detached(text, signature, keys, pins, "x", &error);
        check(item, verified, error, pin);
        if (verified != NULL)
            assert_true(g_bytes_equal(verified->text, text));
    }
}

static void
expect_refused(GBytes *message, const char *expect)
{
    g_autofree char *pin = key_fingerprint("good");
    const char *pins[] = {pin, NULL};
    g_autoptr(GBytes) keys = key_export("=good");
    g_autoptr(GError) error = NULL;
    g_autoptr(SignVerified) verified = sign_verify_clear(message, keys, pins, "x", &error);

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
    verified = sign_verify_clear(message, keys, pins, "x", NULL);
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
    assert_null(sign_verify_detached(text, message, keys, pins, "x", &error));
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
    verified = sign_verify_clear(message, keys, pins, "x", NULL);
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
        cmocka_unit_test(a_changed_message_is_refused),
        cmocka_unit_test(the_signed_text_alone_comes_back),
        cmocka_unit_test(a_signature_file_with_another_text_inside_is_refused),
        cmocka_unit_test(verification_leaves_nothing_behind),
        cmocka_unit_test(a_pin_that_is_no_full_fingerprint_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
