// SPDX-License-Identifier: Apache-2.0
/* The way with the fewest bytes, whatever the deltas are called. */
#include "fetch/ways.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Image 'a' has a digest of 128 a's. */
static char *
digest(char image)
{
    char *text = g_malloc(129);

    memset(text, image, 128);
    text[128] = '\0';
    return text;
}

/* @edges: "ab5 bf7": from a to b in 5 bytes ... ; 'f' is the entry's own. */
static IndexEntry *
entry_with(const char *edges)
{
    g_auto(GStrv) words = g_strsplit(edges, " ", -1);
    IndexEntry *entry = index_entry_new();

    entry->sha512 = digest('f');
    for (unsigned i = 0; words[i] != NULL && words[i][0] != '\0'; i++) {
        g_autofree char *base = digest(words[i][0]), *to = digest(words[i][1]);
        IndexDelta delta = {.revision = i + 1,
                            .base_sha512 = base,
                            .to_sha512 = to,
                            .file = words[i],
                            .size = g_ascii_strtoull(words[i] + 2, NULL, 10)};

        (words[i][1] == 'f' ? index_delta_set : index_step_set)(entry, &delta);
    }
    return entry;
}

static bool
is_here(void *images, const char *sha512)
{
    return strchr(images, sha512[0]) != NULL;
}

static void
the_fewest_bytes_win(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *edges, *here, *way;
    } CASES[] = {
        {"", "a", NULL},
        {"af5", "", NULL},
        {"af5", "a", "af5"},
        {"af5 bf4", "ab", "bf4"},
        {"ab5 bf7", "a", "ab5 bf7"},
        {"bf7 ab5", "a", "ab5 bf7"},
        {"ab5 bf7", "ab", "bf7"},
        {"af20 ab5 bf7", "a", "ab5 bf7"}, /* two small ones instead of a large one */
        {"af12 ab5 bf7", "a", "af12"},    /* not for nothing */
        {"ab1 bc1 cd1 df1", "a", "ab1 bc1 cd1 df1"},
        {"ab1 ba1", "a", NULL}, /* round and round */
        {"ab1 ba1 bf9", "a", "ab1 bf9"},
        {"ab5", "a", NULL}, /* leads nowhere */
        {"ab9223372036854775807 bc9223372036854775807 cf9223372036854775807", "a", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(IndexEntry) entry = entry_with(CASES[i].edges);
        g_autoptr(GString) found = g_string_new(NULL);
        uint64_t size = 0, sum = 0;
        g_autoptr(GArray) way = ways_find(entry, is_here, (void *)CASES[i].here, &size);

        for (guint k = 0; way != NULL && k < way->len; k++) {
            const IndexDelta *delta = &g_array_index(way, IndexDelta, k);

            g_string_append_printf(found, "%s%s", k > 0 ? " " : "", delta->file);
            sum += delta->size;
        }
        if (g_strcmp0(way != NULL ? found->str : NULL, CASES[i].way) != 0 || sum != size)
            fail_msg("case %zu: '%s'", i, found->str);
    }
}

static void
fields_that_say_nothing_are_no_deltas(void **state G_GNUC_UNUSED)
{
    static const char *const ENDS[] = {"", "_size", "_base", "_to"};

    for (size_t i = 0; i < G_N_ELEMENTS(ENDS); i++) {
        g_autoptr(IndexEntry) entry = entry_with("ab5 bf7");
        g_autofree char *key = g_strconcat(INDEX_STEP "1", ENDS[i], NULL);
        uint64_t size;

        index_entry_set_extension(entry, key, i % 2 == 0 ? NULL : "nonsense");
        assert_null(ways_find(entry, is_here, (void *)"a", &size));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fewest_bytes_win),
        cmocka_unit_test(fields_that_say_nothing_are_no_deltas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
