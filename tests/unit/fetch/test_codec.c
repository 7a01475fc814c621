// SPDX-License-Identifier: Apache-2.0
/* What was measured decides, and nothing else. */
#include "fetch/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MB 1000000u

static void
the_codec_that_is_sooner_there_is_taken(void **state G_GNUC_UNUSED)
{
    static const struct {
        CodecFacts facts;
        uint32_t xz, zstd;
        DiskCodec expected;
    } CASES[] = {
        {{0, 0, 0, 2}, 100, 90, DISK_ZSTD}, /* nothing is known */
        {{12 * MB, 0, 0, 2}, 100, 103, DISK_ZSTD},
        {{0, 15 * MB, MB, 2}, 100, 103, DISK_ZSTD},
        {{12 * MB, 15 * MB, MB, 2}, 100, 103, DISK_XZ},    /* 100 Mbit/s: the wire is slower than two cores */
        {{12 * MB, 15 * MB, MB, 2}, 100, 100, DISK_XZ},    /* no difference on the wire */
        {{12 * MB, 15 * MB, MB, 2}, 103, 100, DISK_ZSTD},  /* smaller and faster */
        {{12 * MB, 10 * MB, MB, 1}, 100, 103, DISK_ZSTD},  /* one slow core */
        {{12 * MB, 10 * MB, MB, 1}, 100, 130, DISK_XZ},    /* but so many more bytes do not pay */
        {{120 * MB, 15 * MB, MB, 2}, 100, 103, DISK_ZSTD}, /* 1 Gbit/s */
        {{120 * MB, 15 * MB, MB, 16}, 100, 103, DISK_XZ},
        {{UINT64_MAX, UINT64_MAX, 1, 1000},
         DISK_MANIFEST_MAX_BLOCK,
         DISK_MANIFEST_MAX_BLOCK,
         DISK_XZ}, /* no sum runs over */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        if (codec_choose(&CASES[i].facts, CASES[i].xz, CASES[i].zstd) != CASES[i].expected)
            fail_msg("case %zu", i);
}

static void
a_wish_is_one_of_three_words(void **state G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    CodecWish wish = CODEC_AUTO;

    assert_true(codec_wish_parse("zstd", &wish, NULL) && wish == CODEC_ZSTD);
    assert_true(codec_wish_parse("xz", &wish, NULL) && wish == CODEC_XZ);
    assert_true(codec_wish_parse("auto", &wish, NULL) && wish == CODEC_AUTO);
    assert_false(codec_wish_parse("gzip", &wish, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_codec_that_is_sooner_there_is_taken),
        cmocka_unit_test(a_wish_is_one_of_three_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
