// SPDX-License-Identifier: Apache-2.0
/* A manifest that nobody signed is read back for its own image alone, and only undamaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "fetch/local_manifest.h"

#include <stdio.h>
#include <string.h>

static int
make_home(void **state)
{
    *state = g_dir_make_tmp("vdXXXXXX", NULL);
    g_setenv("VIRT_DEPOT_HOME", *state, TRUE);
    return !cache_prepare(NULL);
}

static int
remove_home(void **state)
{
    file_remove_tree(*state, NULL);
    g_free(*state);
    return 0;
}

static DiskManifest *
manifest_of_one_block(void)
{
    DiskManifest *manifest = disk_manifest_new();
    const DiskManifestBlock block = {.packed_size = 4096, .raw_size = 8192, .raw_sha256 = "raw"};

    manifest->check = 4;
    manifest->head.size = 12;
    manifest->tail.size = 24;
    manifest->packed_size = 12 + 4096 + 24;
    manifest->raw_size = 8192;
    disk_manifest_add_block(manifest, &block);
    disk_manifest_add_run(manifest, 2, false);
    return manifest;
}

static void
init_key(CacheKey *key, char digit)
{
    g_autoptr(IndexEntry) entry = index_entry_new();

    entry->name = g_strdup("tiny");
    entry->sha512 = g_strnfill(128, digit);
    assert_true(cache_key_init(key, entry, NULL));
}

static void
it_is_read_back_as_it_was_written(void **state G_GNUC_UNUSED)
{
    g_autoptr(DiskManifest) manifest = manifest_of_one_block();
    g_autoptr(DiskManifest) again = NULL;
    g_auto(CacheKey) key = {0};

    init_key(&key, 'a');
    assert_null(local_manifest_read(&key));
    assert_true(local_manifest_write(&key, manifest, NULL));
    again = local_manifest_read(&key);
    assert_non_null(again);
    assert_int_equal(again->packed_size, manifest->packed_size);
    assert_memory_equal(g_array_index(again->blocks, DiskManifestBlock, 0).raw_sha256, "raw", 3);
}

static void
every_damage_and_another_name_are_noticed(void **state G_GNUC_UNUSED)
{
    g_autoptr(DiskManifest) manifest = manifest_of_one_block();
    g_auto(CacheKey) key = {0}, other = {0};
    g_autofree char *path = NULL, *other_path = NULL, *data = NULL;
    gsize size;

    init_key(&key, 'b');
    init_key(&other, 'c');
    path = cache_local_manifest_path(&key);
    other_path = cache_local_manifest_path(&other);
    assert_true(local_manifest_write(&key, manifest, NULL));
    assert_true(g_file_get_contents(path, &data, &size, NULL));
    assert_true(g_file_set_contents(other_path, data, (gssize)size, NULL));
    assert_null(local_manifest_read(&other));
    for (gsize i = 0; i < size; i++) {
        data[i] ^= 1;
        assert_true(g_file_set_contents(other_path, data, (gssize)size, NULL));
        assert_int_equal(rename(other_path, path), 0);
        assert_null(local_manifest_read(&key));
        data[i] ^= 1;
    }
    for (gsize i = 0; i < size; i += 7) {
        assert_true(g_file_set_contents(path, data, (gssize)i, NULL));
        assert_null(local_manifest_read(&key));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_back_as_it_was_written),
        cmocka_unit_test(every_damage_and_another_name_are_noticed),
    };

    return cmocka_run_group_tests(tests, make_home, remove_home);
}
