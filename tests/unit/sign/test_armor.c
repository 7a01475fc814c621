// SPDX-License-Identifier: Apache-2.0
/* The outer form of messages and signatures, byte by byte; no gpg is needed for this. */
#include "sign/armor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
/* Signature packets of three bytes of nonsense: old format (88 03), new format (c2 03), and two of them. */
#define ONE "iAMBAgM="
#define ONE_NEW "wgMBAgM="
#define TWO "iAMBAgOIAwECAw=="
#define LITERAL "rAMBAgM="
#define BLOCK(base64) "-----BEGIN PGP SIGNATURE-----\n\n" base64 "\n=AAAA\n-----END PGP SIGNATURE-----\n"

static const struct {
    const char *message;
    const char *expect; /* NULL: accepted */
} MESSAGES[] = {
    {HEAD "text\n" BLOCK(ONE), NULL},
    {HEAD BLOCK(ONE), NULL},
    {HEAD "text\n" BLOCK(ONE_NEW), NULL},
    {HEAD "- -----BEGIN PGP SIGNATURE-----\n" BLOCK(ONE), NULL},
    {HEAD "text\n" BLOCK(ONE) "\n\r\n", NULL},
    {"-----BEGIN PGP SIGNED MESSAGE-----\n\ntext\n" BLOCK(ONE), NULL},
    {"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\ntext\r\n" BLOCK(ONE), NULL},
    {HEAD "text\n-----BEGIN PGP SIGNATURE-----\nVersion: GnuPG v1\nComment: x\n\n" ONE
          "\n-----END PGP SIGNATURE-----",
     NULL},
    {"", "x: is empty"},
    {"\n" HEAD "text\n" BLOCK(ONE), "x:1: does not begin"},
    {"\xef\xbb\xbf" HEAD "text\n" BLOCK(ONE), "x:1: does not begin"},
    {"-----BEGIN PGP SIGNED MESSAGE----- \n\ntext\n" BLOCK(ONE), "x:1: does not begin"},
    {"-----BEGIN PGP SIGNED MESSAGE-----\n \ntext\n" BLOCK(ONE), "x:2: only 'Hash:'"},
    {"-----BEGIN PGP SIGNED MESSAGE-----\nNotDashEscaped: yes\n\ntext\n" BLOCK(ONE), "x:2: only 'Hash:'"},
    {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512 \x0c\n\ntext\n" BLOCK(ONE), "x:2: only 'Hash:'"},
    {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n", "x:2: the signed message is cut short"},
    {HEAD "text\n", "x:4: the signed message is cut short"},
    {HEAD "-text\n" BLOCK(ONE), "x:4: a second message"},
    {HEAD HEAD "text\n" BLOCK(ONE), "x:4: a second message"},
    {HEAD "text\n" BLOCK(ONE) "more\n", "x:10: text follows"},
    {HEAD "text\n" BLOCK(ONE) " \n", "x:10: text follows"},
    {HEAD "text\n" BLOCK(ONE) BLOCK(ONE), "x:10: text follows"},
    {HEAD "text\n" BLOCK(TWO), "not exactly one OpenPGP signature"},
    {HEAD "text\n" BLOCK(LITERAL), "not exactly one OpenPGP signature"},
    {HEAD "text\n" BLOCK(""), "x:7: the signature block is malformed"},
    {HEAD "text\n" BLOCK("iAMBA*M="), "x:7: the signature block is malformed"},
    {HEAD "text\n" BLOCK("iAMBAg"), "x:9: the signature block is cut short"},
    {HEAD "text\n-----BEGIN PGP SIGNATURE-----\n\n" ONE "\n", "x:7: the signature block is cut short"},
};

static void
a_clear_signed_message_stands_alone(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(MESSAGES); i++) {
        g_autoptr(GError) error = NULL;
        const char *message = MESSAGES[i].message;
        bool is_ok = sign_armor_check_clear(message, strlen(message), "x", &error);

        if (is_ok != (MESSAGES[i].expect == NULL))
            fail_msg("case %zu: %s", i, error != NULL ? error->message : "was accepted");
        if (!is_ok && strstr(error->message, MESSAGES[i].expect) == NULL)
            fail_msg("case %zu: unexpected message: %s", i, error->message);
        if (!is_ok)
            assert_int_equal(error->code, BASE_ERROR_UNTRUSTED);
    }
}

static void
a_line_that_gnupg_would_cut_is_refused(void **state G_GNUC_UNUSED)
{
    g_autofree char *line = g_strnfill(ARMOR_MAX_LINE + 1, 'x');
    g_autofree char *message = g_strconcat(HEAD, line, "\n", BLOCK(ONE), NULL);
    g_autofree char *shorter = g_strconcat(HEAD, line + 1, "\n", BLOCK(ONE), NULL);

    assert_false(sign_armor_check_clear(message, strlen(message), "x", NULL));
    assert_true(sign_armor_check_clear(shorter, strlen(shorter), "x", NULL));
}

static void
a_nul_byte_in_the_text_is_refused(void **state G_GNUC_UNUSED)
{
    static const char MESSAGE[] = HEAD "te\0xt\n" BLOCK(ONE);

    assert_false(sign_armor_check_clear(MESSAGE, sizeof MESSAGE - 1, "x", NULL));
}

#define BYTES(text) text, sizeof text - 1

static const struct {
    const char *data;
    size_t size;
    bool is_accepted;
} SIGNATURES[] = {
    {BYTES("\x88\x03"
           "abc"),
     true}, /* old format, one length byte */
    {BYTES("\x89\x00\x03"
           "abc"),
     true}, /* two */
    {BYTES("\x8a\x00\x00\x00\x03"
           "abc"),
     true}, /* four */
    {BYTES("\xc2\x03"
           "abc"),
     true}, /* new format */
    {BYTES("\xc2\xff\x00\x00\x00\x03"
           "abc"),
     true}, /* new format, four bytes of length */
    {BYTES("-----BEGIN PGP SIGNATURE-----\n\n" ONE "\n-----END PGP SIGNATURE-----\n"), true},
    {BYTES(""), false},
    {BYTES("\x88"), false},
    {BYTES("\x88\x00"), false},
    {BYTES("\x88\x03"
           "ab"),
     false}, /* too short */
    {BYTES("\x88\x03"
           "abcd"),
     false}, /* too long */
    {BYTES("\x8b"
           "abc"),
     false}, /* of indeterminate length */
    {BYTES("\xc2\xe1"
           "abc"),
     false}, /* partial length */
    {BYTES("\xc2\xff\x00\x00"), false},
    {BYTES("\x8a\xff\xff\xff\xff"
           "abc"),
     false},
    {BYTES("\x88\x03"
           "abc"
           "\x88\x03"
           "abc"),
     false}, /* two signatures */
    {BYTES("\xac\x03"
           "abc"),
     false}, /* literal data */
    {BYTES("\x90\x03"
           "abc"),
     false}, /* a one-pass signature */
    {BYTES("text"), false},
    {BYTES("-----BEGIN PGP MESSAGE-----\n\n" ONE "\n-----END PGP MESSAGE-----\n"), false},
    {BYTES("-----BEGIN PGP SIGNATURE-----\n\n" ONE "\n-----END PGP SIGNATURE-----\nmore"), false},
};

static void
a_detached_signature_is_one_packet(void **state G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(SIGNATURES); i++) {
        g_autoptr(GBytes) bytes = g_bytes_new_static(SIGNATURES[i].data, SIGNATURES[i].size);
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) packet = sign_armor_detached_packet(bytes, "x", &error);

        if ((packet != NULL) != SIGNATURES[i].is_accepted)
            fail_msg("case %zu: %s", i, error != NULL ? error->message : "was accepted");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clear_signed_message_stands_alone),
        cmocka_unit_test(a_line_that_gnupg_would_cut_is_refused),
        cmocka_unit_test(a_nul_byte_in_the_text_is_refused),
        cmocka_unit_test(a_detached_signature_is_one_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
