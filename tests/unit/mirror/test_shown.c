// SPDX-License-Identifier: Apache-2.0
/* Names of two versions: what is shown, and what is remembered of it. */
#include "mirror/shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1000
#define GRACE 100

static GHashTable *
table_of(const char *words, const char *value)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_auto(GStrv) names = g_strsplit(words, " ", -1);

    for (char **name = names; *name != NULL; name++) {
        char *equals = strchr(*name, '=');

        if (equals != NULL)
            *equals = '\0';
        if (**name != '\0')
            g_hash_table_insert(table, g_strdup(*name), g_strdup(equals != NULL ? equals + 1 : value));
    }
    return table;
}

/* text_of: (transfer full) "name=value" of each, sorted. */
static char *
text_of(GHashTable *table)
{
    g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(table), (GCompareFunc)strcmp);
    GString *text = g_string_new(NULL);

    for (const GList *i = names; i != NULL; i = i->next)
        g_string_append_printf(text, "%s%s=%s", text->len > 0 ? " " : "", (const char *)i->data,
                               (const char *)g_hash_table_lookup(table, i->data));
    return g_string_free(text, FALSE);
}

static GHashTable *
files_of(const char *words, MirrorFile *file)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(GStrv) names = g_strsplit(words, " ", -1);

    for (char **name = names; *name != NULL; name++)
        g_hash_table_insert(table, g_strdup(*name), file);
    return table;
}

static void
old_names_are_shown_for_the_grace_period_unless_they_are_in_the_way(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *before, *gone, *names, *shown, *gone_then;
    } CASES[] = {
        {"", "", "a", "a=new", ""},
        {"a", "", "a", "a=new", ""},
        {"a b", "", "a", "a=new b=old", "b=1000"},
        {"a b", "b=901", "a", "a=new b=old", "b=901"},
        {"a b", "b=900", "a", "a=new", ""},
        {"a b", "b=950", "a b", "a=new b=new", ""}, /* it came back */
        {"a", "b=950", "a", "a=new", ""},           /* a killed run's */
        {"x", "", "x/y", "x/y=new", ""},            /* a file that is a folder now */
        {"x", "x=950", "x/y/z", "x/y/z=new", ""},
        {"x/y", "", "x", "x=new", ""}, /* a folder that is a file now */
        {"x/y/z x/a xy/z", "x/a=950", "x", "x=new xy/z=old", "xy/z=1000"},
        {"x/y x.y", "", "x/y/z x/a", "x.y=old x/a=new x/y/z=new", "x.y=1000"},
        {"x/y x/z", "", "x/y", "x/y=new x/z=old", "x/z=1000"}, /* side by side */
    };
    g_autofree char *sha512 = g_strnfill(128, 'a'), *blob = g_strdup_printf("blobs/sha512/aa/%s", sha512);
    MirrorFile file = {.sha512 = sha512};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GHashTable) before = table_of(CASES[i].before, "old"), gone = table_of(CASES[i].gone, "");
        g_autoptr(GHashTable) by_name = files_of(CASES[i].names, &file);
        g_autoptr(GHashTable) shown = mirror_shown(by_name, before, gone, NOW, GRACE);
        g_autofree char *long_text = text_of(shown), *remembered = text_of(gone);
        g_auto(GStrv) parts = g_strsplit(long_text, blob, -1);
        g_autofree char *text = g_strjoinv("new", parts);

        if (strcmp(text, CASES[i].shown) != 0 || strcmp(remembered, CASES[i].gone_then) != 0)
            fail_msg("case %zu: '%s', remembered '%s'", i, text, remembered);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_names_are_shown_for_the_grace_period_unless_they_are_in_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
