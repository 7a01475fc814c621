// SPDX-License-Identifier: Apache-2.0
/* The texts of trust: what is written reads back byte for byte, and every other spelling is refused with its line. */
#include "sign/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define A "0123456789ABCDEF0123456789ABCDEF01234567"
#define B "0123456789ABCDEF0123456789ABCDEF01234568"
#define C "0123456789ABCDEF0123456789ABCDEF01234569"
#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define HEAD                                                                                                 \
    "virt-depot-trust: 1\nrepo-id: " ID "\nversion: 1\ncreated: 2026-01-01T00:00:00Z\n"                      \
    "expires: 2027-01-01T00:00:00Z\nthreshold: 1\n"
#define GOOD HEAD "root: " A "\nroot: " B "\nindex: " C "\nindex: " A " not-after=2026-07-01T00:00:00Z\n\n"
#define BLOCK "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"

static GBytes *
bytes_of(const char *text)
{
    return g_bytes_new(text, strlen(text));
}

static void
what_is_written_reads_back(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) bytes = bytes_of(GOOD);
    g_autoptr(SignTrust) trust = sign_trust_parse_one(bytes, "x", NULL);
    g_autofree char *again = NULL;

    assert_non_null(trust);
    assert_string_equal(trust->repo_id, ID);
    assert_int_equal(trust->version, 1);
    assert_int_equal(trust->threshold, 1);
    assert_int_equal(trust->expires - trust->created, 365 * 24 * 60 * 60);
    assert_true(sign_trust_has_root(trust, A) && sign_trust_has_root(trust, B) &&
                !sign_trust_has_root(trust, C));
    assert_int_equal(sign_trust_index_key(trust, C)->not_after, 0);
    assert_int_equal(sign_trust_index_key(trust, A)->not_after - trust->created, 181 * 24 * 60 * 60);
    assert_null(sign_trust_index_key(trust, B));
    assert_true(g_bytes_equal(trust->text, bytes));
    again = sign_trust_print(trust);
    assert_string_equal(again, GOOD);
}

static void
every_other_spelling_is_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *from, *to, *expect;
    } CHANGES[] = {
        {"trust: 1", "trust: 2", "x:1: 'virt-depot-trust: 1' is expected here"},
        {"virt", "\xef\xbb\xbfvirt", "x:1: a byte that is no"},
        {"repo-id: 0f", "repo-id: 0F", "x:2: is no UUID"},
        {"repo-id: ", "repo-id:", "x:2: 'repo-id: ' is expected"},
        {"version: 1", "version: 01", "x:3: is no version"},
        {"version: 1", "version: 201", "x:3: is no version"},
        {"version: 1", "version: 1 ", "x:3: is no version"},
        {"version: 1", "version: +1", "x:3: is no version"},
        {"2026-01-01T00:00:00Z", "2026-01-01 00:00:00Z", "x:4: is no time"},
        {"2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "x:4: is no time"},
        {"2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "x:4: is no time"},
        {"expires: 2027", "expires: 2026", "x:5: is no time"},
        {"threshold: 1", "threshold: 0", "x:6: is no number"},
        {"threshold: 1", "threshold: 17", "x:6: is no number"},
        {"threshold: 1", "threshold: 3", "x:11: has fewer root keys"},
        {"root: " B, "root: " A, "x:8: the same root key again"},
        {"root: " A, "root: 0123", "x:7: is no fingerprint"},
        {"root: 01", "root: ab", "x:7: is no fingerprint"},
        {"index: " C, "index: " A, "x:10: the same index key again"},
        {"index: " C "\n", "index: " C "\nroot: " C "\n", "x:10: root keys stand before"},
        {"not-after=2026", "not-before=2026", "x:10: is no fingerprint"},
        {" not-after=2026-07-01T00:00:00Z", " not-after=", "x:10: is no fingerprint"},
        {"index: " C "\nindex: " A " not-after=2026-07-01T00:00:00Z\n", "", "x:9: names no index key"},
        {"\n\n", "\n", "x:11: the text is cut short"},
        {"\n\n", "\n\n\n", "x:11: more follows"},
        {"\n\n", "\ncolour: red\n\n", "x:11: 'root: ', 'index: ' or an empty line"},
        {"threshold", "threshold\r", "x:6: a byte that is no printable"},
        {"\nroot", "\nexpires: 2027-01-01T00:00:00Z\nroot", "x:7: 'root: ', 'index: '"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CHANGES); i++) {
        GString *text = g_string_new(GOOD);
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(GError) error = NULL;

        assert_int_equal(g_string_replace(text, CHANGES[i].from, CHANGES[i].to, 1), 1);
        bytes = g_string_free_to_bytes(text);
        if (sign_trust_parse_one(bytes, "x", &error) != NULL)
            fail_msg("row %zu: was accepted", i);
        if (error->code != BASE_ERROR_UNTRUSTED || strstr(error->message, CHANGES[i].expect) == NULL)
            fail_msg("row %zu: unexpected message: %s", i, error->message);
    }
}

static void
versions_follow_each_other(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *second; /* the version line of a second text, or "" */
        const char *id;
        bool is_good;
    } ROWS[] = {{"version: 2", ID, true},
                {"version: 1", ID, false},
                {"version: 3", ID, false},
                {"version: 2", "0f8fad5b-d9cb-469f-a165-70867728950f", false}};

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        GString *text = g_string_new(GOOD);
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(GPtrArray) chain = NULL;

        g_string_replace(text, "version: 1", ROWS[i].second, 1);
        g_string_replace(text, ID, ROWS[i].id, 1);
        g_string_prepend(text, GOOD);
        bytes = g_string_free_to_bytes(text);
        chain = sign_trust_parse(bytes, "x", NULL);
        if ((chain != NULL) != ROWS[i].is_good)
            fail_msg("row %zu", i);
        assert_true(chain == NULL || chain->len == 2);
    }
}

static void
too_much_is_refused(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) roots = g_string_new(HEAD), keys = g_string_new(HEAD "root: " A "\n");
    g_autofree char *huge = g_strnfill(SIGN_TRUST_MAX_BYTES + 1, 'x');
    g_autoptr(GError) error = NULL;
    const struct {
        const char *text, *expect;
    } ROWS[] = {{roots->str, "more than 16 root keys"},
                {keys->str, "more than 32 index keys"},
                {huge, "larger"},
                {"", "empty"}};

    for (unsigned i = 0; i < 40; i++) {
        g_string_append_printf(roots, "root: %040X\n", i);
        g_string_append_printf(keys, "index: %040X\n", i);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        const char *text = i == 0 ? roots->str : i == 1 ? keys->str : ROWS[i].text;
        g_autoptr(GBytes) bytes = bytes_of(text);

        assert_null(sign_trust_parse(bytes, "x", &error));
        if (strstr(error->message, ROWS[i].expect) == NULL)
            fail_msg("%s", error->message);
        g_clear_error(&error);
    }
}

static void
signatures_are_framed_strictly(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        guint n; /* 0: refused */
    } ROWS[] = {
        {"version: 1\n" BLOCK, 1},
        {"version: 1\n" BLOCK "version: 1\n" BLOCK "version: 2\n" BLOCK, 3},
        {BLOCK, 0},
        {"version: 0\n" BLOCK, 0},
        {"version: 1\n" BLOCK BLOCK, 0},
        {"version: 1\n\n" BLOCK, 0},
        {"version: 1\n" BLOCK "text\n", 0},
        {"version: 1\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n", 0},
        {"version: 1\n-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n", 0},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autoptr(GBytes) bytes = bytes_of(ROWS[i].text), block = bytes_of(BLOCK);
        g_autoptr(GPtrArray) list = sign_trust_parse_signatures(bytes, "x", NULL);

        if ((list != NULL ? list->len : 0) != ROWS[i].n)
            fail_msg("row %zu", i);
        for (guint n = 0; list != NULL && n < list->len; n++)
            assert_true(g_bytes_equal(((SignTrustSignature *)g_ptr_array_index(list, n))->armour, block));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),     cmocka_unit_test(every_other_spelling_is_refused),
        cmocka_unit_test(versions_follow_each_other),     cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(signatures_are_framed_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
