// SPDX-License-Identifier: Apache-2.0
/* Which images are chosen. */
#include "mirror/choose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name, *osinfo, *arch, *alias;
} IMAGES[] = {
    {"debian-11", "debian11", "x86_64", NULL},  {"debian-12", "debian12", "x86_64", "stable"},
    {"debian-12", "debian12", "aarch64", NULL}, {"debian-12-cloud", "debian12", "x86_64", NULL},
    {"ubuntu-9", "ubuntu9.10", "x86_64", NULL}, {"ubuntu-22", "ubuntu22.04", "x86_64", NULL},
    {"alpine-3.9", NULL, "x86_64", NULL},       {"alpine-3.18", NULL, "x86_64", NULL},
    {"rescue", NULL, "x86_64", NULL},           {"debian-10", "debian10", "x86_64", NULL},
};

static Index *
catalogue(void)
{
    Index *index = index_new();

    for (size_t i = 0; i < G_N_ELEMENTS(IMAGES); i++) {
        IndexEntry *entry = index_entry_new();

        entry->name = g_strdup(IMAGES[i].name);
        entry->osinfo = g_strdup(IMAGES[i].osinfo);
        entry->arch = g_strdup(IMAGES[i].arch);
        entry->aliases = IMAGES[i].alias != NULL ? g_strsplit(IMAGES[i].alias, ",", -1) : NULL;
        g_ptr_array_add(index->entries, entry);
    }
    return index;
}

/* choose: (transfer full) the numbers of the chosen ones in IMAGES. */
static char *
choose(const char *images, const char *os_infos, const char *arch, unsigned newest)
{
    g_autoptr(Index) index = catalogue();
    g_auto(GStrv) image_list = images != NULL ? g_strsplit(images, " ", -1) : NULL;
    g_auto(GStrv) os_list = os_infos != NULL ? g_strsplit(os_infos, " ", -1) : NULL;
    const MirrorChoice choice = {(const char *const *)image_list, (const char *const *)os_list, arch, newest};
    g_autoptr(GPtrArray) chosen = mirror_choose(index, &choice);
    GString *numbers = g_string_new(NULL);

    for (guint i = 0; i < index->entries->len; i++)
        if (g_ptr_array_find(chosen, g_ptr_array_index(index->entries, i), NULL))
            g_string_append_printf(numbers, "%u", i);
    return g_string_free(numbers, FALSE);
}

static void
patterns_architecture_and_the_newest_choose(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *images, *os_infos, *arch;
        unsigned newest;
        const char *expected;
    } CASES[] = {
        {NULL, NULL, NULL, 0, "0123456789"},
        {"debian-1?", NULL, NULL, 0, "0129"},
        {"stable rescue", NULL, NULL, 0, "18"},
        {"stab", NULL, NULL, 0, ""},
        {NULL, "debian*", "x86_64", 0, "0139"},
        {NULL, "*", NULL, 0, "0123459"},
        {"debian-*", "debian12", "aarch64", 0, "2"},
        {NULL, NULL, NULL, 1, "123578"},
        {NULL, NULL, NULL, 2, "012345678"},
        {NULL, NULL, NULL, 3, "0123456789"},
        {NULL, "debian1?", "x86_64", 2, "013"},
        {"debian-10 debian-11", NULL, NULL, 1, "0"},
        {"alpine*", NULL, NULL, 1, "7"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *found = choose(CASES[i].images, CASES[i].os_infos, CASES[i].arch, CASES[i].newest);

        if (strcmp(found, CASES[i].expected) != 0)
            fail_msg("case %zu: '%s' instead of '%s'", i, found, CASES[i].expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns_architecture_and_the_newest_choose)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
