// SPDX-License-Identifier: Apache-2.0
/* Tokens: what is printed is read again, mistakes give no rights, and only the right secret is known. */
#include "repod/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ID "abcdefgh2345"
#define GOOD ID " secret:" HEX64 " 1000 2000 5000 push:fedora,read:* a note, with words\n"

static GPtrArray *
parse(const char *text, GError **error)
{
    return tokens_parse(text, strlen(text), "tokens", error);
}

static void
a_printed_file_is_read_again(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) tokens =
        parse("# comment\n\n" GOOD "abcdefgh2346 certificate:" HEX64 " 0 0 0 admin:* \n", NULL);
    g_autoptr(GPtrArray) again = NULL;
    g_autofree char *first = NULL, *second = NULL;
    const Token *token;

    assert_non_null(tokens);
    assert_int_equal(tokens->len, 2);
    token = tokens_find(tokens, ID);
    assert_false(token->is_certificate);
    assert_int_equal(token->expires, 2000);
    assert_int_equal(token->daily_bytes, 5000);
    assert_string_equal(token->note, "a note, with words");
    first = tokens_print(tokens);
    again = parse(first, NULL);
    assert_non_null(again);
    second = tokens_print(again);
    assert_string_equal(first, second);
}

static void
a_file_with_a_mistake_gives_no_rights_at_all(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text, *expect;
    } rows[] = {
        {GOOD GOOD, "tokens:2: the id"},
        {GOOD "x\n", "tokens:2: 7 fields"},
        {"short secret:" HEX64 " 0 0 0 read:* \n", "tokens:1: no line"},
        {"ABCDEFGH2345 secret:" HEX64 " 0 0 0 read:* \n", "no line"},
        {ID " secret:0011 0 0 0 read:* \n", "no line"},
        {ID " sha1:" HEX64 " 0 0 0 read:* \n", "no line"},
        {ID " secret:" HEX64 " -1 0 0 read:* \n", "no line"},
        {ID " secret:" HEX64 " 0 01 0 read:* \n", "no line"},
        {ID " secret:" HEX64 " 0 0 99999999999999999999 read:* \n", "no line"},
        {ID " secret:" HEX64 " 0 0 0 write:* \n", "'write:*'"},
        {ID " secret:" HEX64 " 0 0 0 read \n", "'read'"},
        {ID " secret:" HEX64 " 0 0 0 read:../x \n", "'read:../x'"},
        {ID " secret:" HEX64 " 0 0 0 read:a,, \n", "''"},
        {ID " secret:" HEX64 " 0 0 0 read:* \x01\n", "one line"},
        {ID " secret:" HEX64 " 0 0 0 read:* \xff\n", "one line"},
        {ID " secret:" HEX64 " 0 0 0 read:* cut", "a cut line"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(parse(rows[i].text, &error));
        if (strstr(error->message, rows[i].expect) == NULL)
            fail_msg("row %zu: %s", i, error->message);
    }
}

static void
rights_are_those_of_the_repository_and_of_all(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) tokens = parse(GOOD, NULL);
    const Token *token = g_ptr_array_index(tokens, 0);

    assert_int_equal(token_rights(token, "fedora"), ACCESS_PUSH);
    assert_int_equal(token_rights(token, "debian"), ACCESS_READ);
    assert_int_equal(token_rights(token, NULL), ACCESS_READ);
    assert_true((ACCESS_ADMIN & ACCESS_PUSH) == ACCESS_PUSH && (ACCESS_PUSH & ACCESS_READ) == ACCESS_READ);
}

static void
only_the_very_secret_is_known(void **state G_GNUC_UNUSED)
{
    static const uint8_t RANDOM[32] = {0xfb, 0xff, 1, 2, 3};
    g_autofree char *secret = token_print_secret(ID, RANDOM);
    g_autoptr(GPtrArray) tokens = parse(GOOD, NULL);
    Token *token = g_ptr_array_index(tokens, 0);
    const size_t length = strlen(secret);

    assert_true(g_str_has_prefix(secret, "vdt_" ID "_-_8BAgM"));
    assert_null(tokens_find_secret(tokens, secret, length));
    digest_sha256(secret, length, token->digest);
    assert_ptr_equal(tokens_find_secret(tokens, secret, length), token);
    assert_null(tokens_find_secret(tokens, secret, length - 1));
    secret[length - 1] ^= 1;
    assert_null(tokens_find_secret(tokens, secret, length));
    secret[length - 1] ^= 1;
    token->is_certificate = true;
    assert_null(tokens_find_secret(tokens, secret, length));
}

static void
a_certificate_is_known_by_its_fingerprint(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) tokens = parse(ID " certificate:" HEX64 " 0 0 0 admin:* \n", NULL);
    g_autoptr(GPtrArray) secrets = parse(GOOD, NULL);
    uint8_t digest[DIGEST_SHA256_BYTES];

    assert_non_null(tokens_find_certificate(tokens, HEX64));
    assert_null(tokens_find_certificate(tokens, "11" HEX64));
    assert_null(tokens_find_certificate(secrets, HEX64));
    assert_true(
        token_parse_digest("00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:"
                           "AA:BB:CC:DD:EE:FF",
                           digest));
    assert_int_equal(digest[31], 0xff);
    assert_false(token_parse_digest("0", digest));
    assert_false(token_parse_digest(HEX64 ":", digest));
}

static void
random_bytes_make_ids(void **state G_GNUC_UNUSED)
{
    static const uint8_t RANDOM[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    char id[TOKEN_ID_LENGTH + 1];

    token_print_id(RANDOM, id);
    assert_string_equal(id, "777777777777");
    assert_true(token_is_id(id));
    assert_false(token_is_id("77777777777"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_printed_file_is_read_again),
        cmocka_unit_test(a_file_with_a_mistake_gives_no_rights_at_all),
        cmocka_unit_test(rights_are_those_of_the_repository_and_of_all),
        cmocka_unit_test(only_the_very_secret_is_known),
        cmocka_unit_test(a_certificate_is_known_by_its_fingerprint),
        cmocka_unit_test(random_bytes_make_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
