// SPDX-License-Identifier: Apache-2.0
/* The manifest: one spelling for one meaning, and everything else refused. */
#include "disk/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEADER 112u
#define BLOCKS (HEADER + 16) /* where the first block's record starts */
#define RUNS (BLOCKS + 2 * 72 + 16)

/* Two blocks, 10000 bytes raw: three grains, of which the middle one is zero. */
static GBytes *
sample(void)
{
    g_autoptr(DiskManifest) manifest = disk_manifest_new();
    DiskManifestBlock first = {.packed_size = 400, .raw_size = 8192},
                      second = {.packed_size = 40, .raw_size = 1808};
    g_autoptr(GError) error = NULL;
    GBytes *bytes;

    memset(first.packed_sha256, 1, sizeof first.packed_sha256);
    memset(second.raw_sha256, 2, sizeof second.raw_sha256);
    manifest->check = 4;
    manifest->head.size = 12;
    manifest->tail.size = 24;
    manifest->packed_size = 12 + 400 + 40 + 24;
    manifest->raw_size = 10000;
    disk_manifest_add_block(manifest, &first);
    disk_manifest_add_block(manifest, &second);
    disk_manifest_add_run(manifest, 1, false);
    disk_manifest_add_run(manifest, 1, true);
    disk_manifest_add_run(manifest, 1, false);
    bytes = disk_manifest_print(manifest, &error);
    assert_non_null(bytes);
    return bytes;
}

static void
what_is_printed_comes_back(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) bytes = sample();
    g_autoptr(GBytes) again = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskManifest) manifest =
        disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "m", &error);
    const DiskManifestBlock *block;

    if (manifest == NULL)
        fail_msg("%s", error->message);
    assert_int_equal(g_bytes_get_size(bytes), RUNS + 3);
    assert_int_equal(manifest->blocks->len, 2);
    block = &g_array_index(manifest->blocks, DiskManifestBlock, 1);
    assert_int_equal(block->packed_offset, 412);
    assert_int_equal(block->raw_offset, 8192);
    assert_int_equal(block->raw_sha256[31], 2);
    assert_int_equal(manifest->check, 4);
    again = disk_manifest_print(manifest, &error);
    assert_true(g_bytes_equal(bytes, again));
}

static void
any_damage_is_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *message;
    } CASES[] = {
        {0, 'X', "not a manifest"},
        {8, 2, "version 2 is not known here"},
        {10, 9, "digest, compression or grain"},
        {11, 2, "zstd frames with a stream's header"},
        {11, 3, "digest, compression or grain"},
        {11, 0, "digest, compression or grain"},
        {12, 0, "integrity check"},
        {12, 16, "integrity check"},
        {14, 1, "integrity check"},
        {17, 0x20, "digest, compression or grain"},
        {23, 1, "digest, compression or grain"},
        {24, 0, "do not add up"},
        {33, 0, "do not add up"},
        {39, 0xff, "do not add up"},
        {40, 13, "stream's header"},
        {76, 16, "stream's index"},
        {76, 25, "stream's index"},
        {79, 0xff, "stream's index"},
        {HEADER, 2, "hole map is longer"}, /* the blocks read as a hole map */
        {HEADER + 3, 0x80, "a section that is not known here"},
        {HEADER + 4, 1, "cut short, out of order"},
        {HEADER + 8, 1, "a part of a block"},
        {HEADER + 8, 72, "do not add up"},
        {HEADER + 12, 1, "cut short, out of order"},
        {BLOCKS, 1, "packed size of a block"},
        {BLOCKS, 0x94, "do not add up"},
        {BLOCKS + 2, 1, "packed size of a block"},
        {BLOCKS + 7, 0x05, "impossible size of a block"},
        {BLOCKS + 72 + 4, 0, "do not add up"},
        {RUNS - 16, 1, "cut short, out of order"},
        {RUNS - 8, 2, "hole map is shorter"},
        {RUNS - 8, 4, "cut short, out of order"},
        {RUNS, 0, "hole map is shorter"},
        {RUNS + 1, 0, "impossible length in the hole map"},
        {RUNS + 1, 0x81, "hole map is longer"},
        {RUNS + 2, 2, "hole map is longer"},
        {RUNS + 2, 0x80, "impossible length in the hole map"},
    };
    g_autoptr(GBytes) bytes = sample();
    size_t size;
    const uint8_t *data = g_bytes_get_data(bytes, &size);

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree uint8_t *changed = g_memdup2(data, size);
        g_autoptr(GError) error = NULL;
        g_autoptr(DiskManifest) manifest = NULL;

        changed[CASES[i].at] = CASES[i].value;
        manifest = disk_manifest_parse(changed, size, "m", &error);
        if (manifest != NULL)
            fail_msg("case %zu was accepted", i);
        if (strstr(error->message, CASES[i].message) == NULL)
            fail_msg("case %zu: %s", i, error->message);
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_null(disk_manifest_parse(data, cut, "m", NULL));
}

static GByteArray *
with_more(const void *more, size_t size)
{
    g_autoptr(GBytes) bytes = sample();
    GByteArray *all = g_byte_array_new();

    g_byte_array_append(all, g_bytes_get_data(bytes, NULL), (guint)g_bytes_get_size(bytes));
    g_byte_array_append(all, more, (guint)size);
    return all;
}

static void
only_optional_sections_may_be_unknown(void **state G_GNUC_UNUSED)
{
    static const struct {
        uint8_t more[20];
        size_t size;
        bool is_accepted;
    } CASES[] = {
        {{7, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 'b', 'o', 'o', 't'}, 20, true},
        {{7, 0, 0, 0x80, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 'b', 'o', 'o', 't'}, 20, false},
        {{7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 'b', 'o', 'o', 't'}, 20, false},
        {{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 16, false},
        {{0}, 1, false},
        {{0}, 16, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GByteArray) all = with_more(CASES[i].more, CASES[i].size);
        g_autoptr(DiskManifest) manifest = disk_manifest_parse(all->data, all->len, "m", NULL);

        if ((manifest != NULL) != CASES[i].is_accepted)
            fail_msg("case %zu", i);
    }
}

static void
runs_join_and_tell_where_data_is(void **state G_GNUC_UNUSED)
{
    static const struct {
        uint64_t from, end, start, stop;
    } CASES[] = {
        {0, 100, 0, 0},             /* zeroes up to grain 3 */
        {0, 1 << 20, 12288, 20480}, /* then two grains of data */
        {16000, 1 << 20, 16000, 20480},
        {12288, 13000, 12288, 13000},
        {20480, 1 << 20, 0, 0}, /* a zero last grain */
        {1 << 19, 1 << 20, 0, 0},
    };
    g_autoptr(DiskManifest) manifest = disk_manifest_new();

    manifest->raw_size = 6 * DISK_GRAIN - 5;
    disk_manifest_add_run(manifest, 2, true);
    disk_manifest_add_run(manifest, 1, true);
    disk_manifest_add_run(manifest, 0, false);
    disk_manifest_add_run(manifest, 1, false);
    disk_manifest_add_run(manifest, 1, false);
    disk_manifest_add_run(manifest, 1, true);
    assert_int_equal(manifest->runs->len, 4);
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        uint64_t start = 0, stop = 0;
        bool has_data = disk_manifest_next_data(manifest, CASES[i].from, CASES[i].end, &start, &stop);

        assert_int_equal(has_data, CASES[i].stop > 0);
        assert_int_equal(start, CASES[i].start);
        assert_int_equal(stop, CASES[i].stop);
    }
}

static void
a_hole_map_that_is_full_ends_with_data(void **state G_GNUC_UNUSED)
{
    g_autoptr(DiskManifest) manifest = disk_manifest_new();
    uint64_t grains = DISK_MANIFEST_MAX_RUNS + 1000, start, stop;

    manifest->raw_size = grains * DISK_GRAIN;
    for (uint64_t i = 0; i < grains; i++)
        disk_manifest_add_run(manifest, 1, i % 2 == 1);
    assert_in_range(manifest->runs->len, DISK_MANIFEST_MAX_RUNS - 2, DISK_MANIFEST_MAX_RUNS);
    assert_int_equal(manifest->runs->len % 2, 1);
    assert_true(
        disk_manifest_next_data(manifest, (grains - 900) * DISK_GRAIN, manifest->raw_size, &start, &stop));
    assert_int_equal(start, (grains - 900) * DISK_GRAIN);
    assert_int_equal(stop, manifest->raw_size);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_comes_back),
        cmocka_unit_test(any_damage_is_refused),
        cmocka_unit_test(only_optional_sections_may_be_unknown),
        cmocka_unit_test(runs_join_and_tell_where_data_is),
        cmocka_unit_test(a_hole_map_that_is_full_ends_with_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
