// SPDX-License-Identifier: Apache-2.0
/* Versions of a repository: what they refer to, which may go, and how an old one comes back. */
#include "publish/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* add: an image whose digest is 128 times @digit. */
static IndexEntry *
add(Index *index, const char *name, uint64_t revision, char digit)
{
    IndexEntry *entry = index_entry_new();
    char sha512[129];

    memset(sha512, digit, 128);
    sha512[128] = '\0';
    entry->name = g_strdup(name);
    entry->arch = g_strdup("x86_64");
    entry->revision = revision;
    entry->size = 4096;
    entry->sha512 = g_strdup(sha512);
    entry->file = g_strdup_printf("blobs/sha512/%.2s/%s", sha512, sha512);
    g_ptr_array_add(index->entries, entry);
    return entry;
}

static void
references_are_files_and_blobs_in_extension_fields(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index = index_new();
    g_autoptr(GHashTable) blobs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    IndexEntry *entry = add(index, "a", 1, 'a');
    char manifest[142 + 8];

    g_snprintf(manifest, sizeof manifest, "blobs/sha512/bb/%0128d", 0);
    memset(manifest + strlen("blobs/sha512/bb/"), 'b', 128);
    index_entry_set_extension(entry, "x_manifest", manifest);
    index_entry_set_extension(entry, "x_comment", "see blobs/sha512/cc");
    add(index, "foreign", 1, 'd')->file[0] = 'x';
    publish_add_references(blobs, index);
    assert_int_equal(g_hash_table_size(blobs), 2);
    assert_true(g_hash_table_contains(blobs, entry->file));
    assert_true(g_hash_table_contains(blobs, manifest));
    {
        g_autofree char *printed = index_print(index, NULL);
        g_autoptr(GBytes) text = g_bytes_new(printed, strlen(printed));
        g_autoptr(GHashTable) scanned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

        publish_add_text_references(scanned, text);
        assert_int_equal(g_hash_table_size(scanned), 2);
        assert_true(g_hash_table_contains(scanned, entry->file));
        assert_true(g_hash_table_contains(scanned, manifest));
    }
}

static void
references_are_found_in_every_spelling_that_the_parser_takes(void **state G_GNUC_UNUSED)
{
    static const char *const LINES[] = {"file=%s\n",       "file= %s\n", "file=\t %s \t\n", "file=%s\r\n",
                                        "file=\r%s\r\r\n", "file=%s",    "file= \t\r%s\n\n"};
    g_autofree char *hex = g_strnfill(128, 'a'), *blob = g_strdup_printf("blobs/sha512/aa/%s", hex);

    for (size_t i = 0; i < G_N_ELEMENTS(LINES); i++) {
        g_auto(GStrv) around = g_strsplit(LINES[i], "%s", 2);
        g_autofree char *content =
            g_strdup_printf("\xef\xbb\xbf[a]\r\narch=x86_64\nsize=1\nchecksum[sha512]=%s\n%s%s%s", hex,
                            around[0], blob, around[1]);
        g_autoptr(GBytes) text = g_bytes_new(content, strlen(content));
        g_autoptr(Index) index = index_parse(text, "index", NULL, NULL);
        g_autoptr(GHashTable) parsed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(GHashTable) scanned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

        publish_add_references(parsed, index);
        publish_add_text_references(scanned, text);
        if (!g_hash_table_contains(parsed, blob) || !g_hash_table_contains(scanned, blob))
            fail_msg("case %zu: '%s'", i, LINES[i]);
    }
}

static void
the_newest_and_the_recently_replaced_stay(void **state G_GNUC_UNUSED)
{
    static const StoreGeneration GENERATIONS[] = {{1, 100}, {3, 200}, {4, 300}, {7, 400}, {8, 500}};
    static const struct {
        unsigned keep;
        int64_t before;
        guint gone; /* how many of the oldest */
    } CASES[] = {
        {1, 1000, 4}, {0, 1000, 4}, {2, 1000, 3}, {5, 1000, 0}, {99, 1000, 0},
        {1, 200, 0},  {1, 201, 1},  {1, 301, 2},  {4, 301, 1},
    };
    g_autoptr(GArray) generations = g_array_new(FALSE, FALSE, sizeof(StoreGeneration));

    g_array_append_vals(generations, GENERATIONS, G_N_ELEMENTS(GENERATIONS));
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GArray) old = publish_choose_old(generations, CASES[i].keep, CASES[i].before);

        if (old->len != CASES[i].gone)
            fail_msg("case %zu: %u versions go", i, old->len);
        for (guint j = 0; j < old->len; j++)
            assert_int_equal(g_array_index(old, guint64, j), GENERATIONS[j].version);
    }
}

static void
versions_that_were_only_signed_again_may_go(void **state G_GNUC_UNUSED)
{
    static const char CONTENT[] = {'a', 'a', 'b', 'b', 'a', 'a', 'a'};
    g_autoptr(GArray) generations = g_array_new(FALSE, FALSE, sizeof(StoreGeneration));
    g_autoptr(GPtrArray) indexes = g_ptr_array_new_with_free_func((GDestroyNotify)index_free);
    g_autoptr(GArray) chosen = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(CONTENT); i++) {
        StoreGeneration generation = {i + 1, 0};
        Index *index = index_new();

        index->version = i + 1;
        index->created = 1700000000 + i;
        add(index, "a", 1, CONTENT[i]);
        g_array_append_val(generations, generation);
        g_ptr_array_add(indexes, index);
    }
    index_free(g_ptr_array_index(indexes, 3));
    g_ptr_array_index(indexes, 3) = NULL; /* unreadable: neither it nor the one before is judged */
    chosen = publish_choose_resigned(generations, indexes, 2);
    assert_int_equal(chosen->len, 2);
    assert_int_equal(g_array_index(chosen, guint64, 0), 1);
    assert_int_equal(g_array_index(chosen, guint64, 1), 5);
}

static void
a_revision_never_comes_back_with_other_content(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) old = index_new();
    g_autoptr(Index) middle = index_new();
    g_autoptr(Index) current = index_new();
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    static const uint64_t EXPECTED[] = {5, 4, 2, 1};

    add(old, "changed", 1, 'a');
    add(old, "changed-and-back", 1, 'b');
    add(old, "removed", 1, 'c');
    add(old, "same", 1, 'd');
    add(middle, "changed", 4, 'e');
    add(middle, "changed-and-back", 3, 'e');
    add(middle, "removed", 2, 'c');  /* the same content under a higher revision */
    add(current, "changed", 2, 'f'); /* lower than before: by hand */
    add(current, "changed-and-back", 4, 'b');
    add(current, "same", 1, 'd');
    add(current, "new", 1, 'a');
    g_ptr_array_add(known, old);
    g_ptr_array_add(known, middle);
    g_ptr_array_add(known, current);
    publish_roll_back(current, old, known);
    assert_int_equal(current->entries->len, 4);
    for (guint i = 0; i < 4; i++) {
        const IndexEntry *entry = g_ptr_array_index(current->entries, i);

        assert_string_equal(entry->name, ((IndexEntry *)g_ptr_array_index(old->entries, i))->name);
        assert_string_equal(entry->sha512, ((IndexEntry *)g_ptr_array_index(old->entries, i))->sha512);
        if (entry->revision != EXPECTED[i])
            fail_msg("%s came back as revision %u", entry->name, (unsigned)entry->revision);
    }
}

static void
half_of_its_time_is_over_in_the_middle(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index = index_new();

    index->created = 1000;
    index->expires = 2000;
    assert_false(publish_is_half_over(index, 1000));
    assert_false(publish_is_half_over(index, 1500));
    assert_true(publish_is_half_over(index, 1501));
    assert_true(publish_is_half_over(index, 3000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_of_its_time_is_over_in_the_middle),
        cmocka_unit_test(references_are_files_and_blobs_in_extension_fields),
        cmocka_unit_test(references_are_found_in_every_spelling_that_the_parser_takes),
        cmocka_unit_test(the_newest_and_the_recently_replaced_stay),
        cmocka_unit_test(versions_that_were_only_signed_again_may_go),
        cmocka_unit_test(a_revision_never_comes_back_with_other_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
