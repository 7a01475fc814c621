// SPDX-License-Identifier: Apache-2.0
/* Which image a name means, over several catalogues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fetch/catalogue.h"

#include <string.h>

#define IMAGE(name, revision, more)                                                                          \
    "[" name "]\narch=x86_64\nfile=f\nsize=1\nrevision=" revision "\n" more "\n"

/* A catalogue with @text as its index; NULL: it failed with @code. */
static void
add(GPtrArray *catalogues, const char *name, const char *text, bool is_refused, BaseError code)
{
    Catalogue *catalogue = g_new0(Catalogue, 1);

    catalogue->source = source_new(name, "http://h/index.asc");
    if (text == NULL) {
        error_set_code(&catalogue->failure, code, "source '%s': failed", name);
    } else {
        g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

        catalogue->opened.index = index_parse(bytes, name, NULL, NULL);
    }
    if (is_refused)
        error_set_code(&catalogue->refusal, BASE_ERROR_UNTRUSTED, "expired");
    g_ptr_array_add(catalogues, catalogue);
}

static GPtrArray *
make_catalogues(void)
{
    GPtrArray *catalogues = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_free);

    add(catalogues, "a", IMAGE("deb", "2", "") IMAGE("solo", "1", "") IMAGE("same", "3", ""), false, 0);
    add(catalogues, "b", IMAGE("deb", "7", "") IMAGE("evil", "9", "aliases=deb nick") IMAGE("same", "3", ""),
        false, 0);
    add(catalogues, "c", IMAGE("deb", "99", "") IMAGE("only", "1", "") IMAGE("nick", "1", ""), true, 0);
    return catalogues;
}

static void
test_a_name_means_one_image(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *ref, *source, *name; /* NULL: not found */
    } CASES[] = {
        {"deb", "b", "deb"}, /* the highest revision that may be pulled, and no alias */
        {"a/deb", "a", "deb"},  {"c/deb", "c", "deb"}, {"b/nick", "b", "evil"},
        {"same", "a", "same"},  {"only", "c", "only"}, /* refused, but nobody else has it */
        {"nick", "c", "nick"}, /* a refused catalogue's name still is no other one's alias */
        {"a/only", NULL, NULL}, {"none", NULL, NULL},  {"d/deb", NULL, NULL},
    };
    g_autoptr(GPtrArray) catalogues = make_catalogues();

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const Catalogue *catalogue = NULL;
        g_autoptr(GError) error = NULL;
        const IndexEntry *entry = catalogue_find(catalogues, CASES[i].ref, "x86_64", &catalogue, &error);

        if ((entry == NULL) != (CASES[i].name == NULL) ||
            (entry != NULL && (strcmp(entry->name, CASES[i].name) != 0 ||
                               strcmp(catalogue->source->name, CASES[i].source) != 0)))
            fail_msg("%s: %s from %s", CASES[i].ref, entry == NULL ? "none" : entry->name,
                     catalogue == NULL ? "-" : catalogue->source->name);
        assert_true(entry != NULL || g_error_matches(error, BASE_ERROR, BASE_ERROR_NOT_FOUND));
    }
}

static void
test_priority_comes_before_the_revision_and_after_the_name(void **state G_GNUC_UNUSED)
{
    static const struct {
        int a, b, c; /* priorities of the sources */
        const char *ref, *source;
    } CASES[] = {
        {50, 50, 50, "deb", "b"}, /* the highest revision */
        {60, 50, 50, "deb", "a"},   {-1, 50, 50, "deb", "b"},  {-1, -2, 50, "deb", "a"},
        {50, 50, 90, "deb", "b"},  /* what is refused counts last */
        {50, 90, 50, "nick", "c"}, /* an alias is no name, whatever its priority */
        {50, 90, 50, "a/deb", "a"}, {50, 50, 50, "same", "a"}, {50, 51, 50, "same", "b"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) catalogues = make_catalogues();
        const int priorities[] = {CASES[i].a, CASES[i].b, CASES[i].c};
        const Catalogue *catalogue = NULL;

        for (guint k = 0; k < 3; k++)
            ((Catalogue *)g_ptr_array_index(catalogues, k))->source->priority = priorities[k];
        assert_non_null(catalogue_find(catalogues, CASES[i].ref, "x86_64", &catalogue, NULL));
        if (strcmp(catalogue->source->name, CASES[i].source) != 0)
            fail_msg("case %zu: %s", i, catalogue->source->name);
    }
}

static void
test_what_may_hide_an_image_is_the_reason_why_it_is_not_found(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) catalogues = make_catalogues();
    g_autoptr(GError) away = NULL, distrust = NULL, other = NULL;
    const Catalogue *catalogue;

    add(catalogues, "d", NULL, false, BASE_ERROR_UNAVAILABLE);
    assert_null(catalogue_find(catalogues, "none", "x86_64", &catalogue, &away));
    assert_true(g_error_matches(away, BASE_ERROR, BASE_ERROR_UNAVAILABLE));
    add(catalogues, "e", NULL, false, BASE_ERROR_UNTRUSTED);
    assert_null(catalogue_find(catalogues, "none", "x86_64", &catalogue, &distrust));
    assert_true(g_error_matches(distrust, BASE_ERROR, BASE_ERROR_UNTRUSTED));
    assert_null(catalogue_find(catalogues, "a/none", "x86_64", &catalogue, &other));
    assert_true(g_error_matches(other, BASE_ERROR, BASE_ERROR_NOT_FOUND));
}

static void
test_a_reference_is_a_name_or_a_source_and_a_name(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *ref, *source, *name; /* name NULL: refused */
    } CASES[] = {
        {"deb", NULL, "deb"},  {"a/deb", "a", "deb"}, {"../x", NULL, NULL}, {"a/../x", NULL, NULL},
        {"/deb", NULL, NULL},  {"a/", NULL, NULL},    {"", NULL, NULL},     {"a/b/c", NULL, NULL},
        {"-x", NULL, NULL},    {".x", NULL, NULL},    {"a b", NULL, NULL},  {"a\n", NULL, NULL},
        {"./deb", NULL, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *source = NULL, *name = NULL;
        g_autoptr(GError) error = NULL;

        if (catalogue_split_ref(CASES[i].ref, &source, &name, &error) != (CASES[i].name != NULL) ||
            g_strcmp0(source, CASES[i].source) != 0 || g_strcmp0(name, CASES[i].name) != 0)
            fail_msg("%s", CASES[i].ref);
        assert_true(error == NULL || g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_means_one_image),
        cmocka_unit_test(test_priority_comes_before_the_revision_and_after_the_name),
        cmocka_unit_test(test_what_may_hide_an_image_is_the_reason_why_it_is_not_found),
        cmocka_unit_test(test_a_reference_is_a_name_or_a_source_and_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
