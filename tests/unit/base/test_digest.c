// SPDX-License-Identifier: Apache-2.0
/* Digests against the standard's own examples (FIPS 180-2: "abc" and the empty message). */
#include "base/digest.h"

#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_512                                                                                              \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                                       \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define EMPTY_256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
digests_match_the_standard(void **state)
{
    g_autofree char *abc256 = digest_bytes(DIGEST_SHA256, "abc", 3);
    g_autofree char *abc512 = digest_bytes(DIGEST_SHA512, "abc", 3);
    g_autofree char *empty = digest_bytes(DIGEST_SHA256, "", 0);

    (void)state;
    assert_string_equal(abc256, ABC_256);
    assert_string_equal(abc512, ABC_512);
    assert_string_equal(empty, EMPTY_256);
}

static void
a_file_is_digested_from_its_first_byte(void **state)
{
    char path[] = "/tmp/vd-digest-XXXXXX";
    g_auto(Fd) fd = g_mkstemp(path);
    g_autofree char *hex = NULL;

    (void)state;
    assert_int_equal(write(fd, "abc", 3), 3); /* the position now stands at the end */
    hex = digest_file(DIGEST_SHA512, fd, path, NULL);
    unlink(path);
    assert_string_equal(hex, ABC_512);
}

static void
only_full_hex_digests_are_accepted(void **state)
{
    (void)state;
    assert_true(digest_is_hex(DIGEST_SHA256, ABC_256));
    assert_true(digest_is_hex(DIGEST_SHA512, ABC_512));
    assert_false(digest_is_hex(DIGEST_SHA512, ABC_256));
    assert_false(digest_is_hex(DIGEST_SHA256, ABC_256 "0"));
    assert_false(digest_is_hex(DIGEST_SHA256, "../" ABC_256));
    assert_false(digest_is_hex(DIGEST_SHA256, ""));
    assert_false(digest_is_hex(DIGEST_SHA256, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_match_the_standard),
        cmocka_unit_test(a_file_is_digested_from_its_first_byte),
        cmocka_unit_test(only_full_hex_digests_are_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
