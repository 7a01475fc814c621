// SPDX-License-Identifier: Apache-2.0
/* Generations: one switch, nothing half written, the last ones kept. */
#include "store_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static void
expect_current(Store *store, uint64_t version, const char *content)
{
    StoreText texts[] = {{"index", NULL}, {"index.sig", NULL}};
    uint64_t found;

    assert_true(store_read_texts(store, texts, G_N_ELEMENTS(texts), 100, &found, NULL));
    assert_int_equal(found, version);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        assert_int_equal(g_bytes_get_size(texts[i].content), strlen(content));
        assert_memory_equal(g_bytes_get_data(texts[i].content, NULL), content, strlen(content));
        store_text_clear(&texts[i]);
    }
}

static void
a_new_generation_replaces_the_one_before(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *index = g_build_filename(*state, "index", NULL);
    g_autofree char *text = NULL;
    g_autofree char *link = NULL;

    assert_true(publish_text(store, 1, "one", NULL));
    expect_current(store, 1, "one");
    assert_true(publish_text(store, 2, "two", NULL));
    expect_current(store, 2, "two");
    assert_true(g_file_get_contents(index, &text, NULL, NULL));
    assert_string_equal(text, "two");
    link = g_file_read_link(index, NULL);
    assert_string_equal(link, "current/index");
    assert_int_equal(count_unfinished(*state), 0);
}

static void
a_version_never_goes_back(void **state)
{
    static const uint64_t OLD[] = {1, 4, 5};
    g_autoptr(Store) store = store_create(*state, NULL);

    assert_true(publish_text(store, 5, "five", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(OLD); i++)
        assert_false(publish_text(store, OLD[i], "old", NULL));
    expect_current(store, 5, "five");
}

static void
a_generation_that_was_never_switched_to_is_replaced(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *dead = g_build_filename(*state, "gen/2", NULL);

    assert_true(publish_text(store, 1, "one", NULL));
    assert_int_equal(mkdir(dead, 0755), 0);
    write_file(dead, "index", "half");
    assert_true(publish_text(store, 2, "two", NULL));
    expect_current(store, 2, "two");
}

static void
old_generations_stay_until_they_are_removed(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autoptr(GArray) listed = NULL;

    for (uint64_t i = 1; i <= 12; i++)
        assert_true(publish_text(store, i, "text", NULL));
    assert_true(store_remove_generation(store, 5, NULL));
    assert_false(store_remove_generation(store, 12, NULL)); /* the current one */
    listed = store_list_generations(store, NULL);
    assert_int_equal(listed->len, 11);
    for (guint i = 0; i < listed->len; i++)
        assert_int_equal(g_array_index(listed, StoreGeneration, i).version, i < 4 ? i + 1 : i + 2);
    expect_current(store, 12, "text");
}

static void
an_old_generation_can_be_read(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_auto(StoreText) text = {"index", NULL};
    g_autoptr(GError) error = NULL;

    assert_true(publish_text(store, 1, "one", NULL));
    assert_true(publish_text(store, 2, "two", NULL));
    assert_true(store_read_generation(store, 1, &text, 1, 100, NULL));
    assert_memory_equal(g_bytes_get_data(text.content, NULL), "one", 3);
    assert_false(store_read_generation(store, 3, &text, 1, 100, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_NOT_FOUND));
}

static void
broken_links_are_found_and_mended(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *index = g_build_filename(*state, "index", NULL);
    g_autofree char *signature = g_build_filename(*state, "index.sig", NULL);
    g_autoptr(GPtrArray) whole = NULL;
    g_autoptr(GPtrArray) broken = NULL;
    g_autoptr(GPtrArray) after = NULL;

    assert_true(publish_text(store, 1, "one", NULL));
    assert_true(store_check_links(store, false, &whole, NULL));
    assert_int_equal(whole->len, 0);
    assert_int_equal(unlink(index), 0);
    assert_int_equal(unlink(signature), 0);
    assert_int_equal(symlink("/etc/passwd", signature), 0);
    assert_true(store_check_links(store, true, &broken, NULL));
    assert_int_equal(broken->len, 2);
    assert_true(store_check_links(store, false, &after, NULL));
    assert_int_equal(after->len, 0);
    expect_current(store, 1, "one");
}

static void
a_text_larger_than_allowed_is_refused(void **state)
{
    g_autoptr(Store) store = store_create(*state, NULL);
    g_auto(StoreText) text = {"index", NULL};

    assert_true(publish_text(store, 1, "eleven byte", NULL));
    assert_false(store_read_texts(store, &text, 1, 10, NULL, NULL));
    assert_true(store_read_texts(store, &text, 1, 11, NULL, NULL));
}

static void
a_current_that_points_elsewhere_is_refused(void **state)
{
    static const char *const TARGETS[] = {"/etc", "gen/../..", "gen/01", "gen/", "gen/1x", "index"};
    g_autoptr(Store) store = store_create(*state, NULL);
    g_autofree char *current = g_build_filename(*state, "current", NULL);

    assert_true(publish_text(store, 1, "one", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(TARGETS); i++) {
        g_auto(StoreText) text = {"index", NULL};

        assert_int_equal(unlink(current), 0);
        assert_int_equal(symlink(TARGETS[i], current), 0);
        assert_false(store_read_texts(store, &text, 1, 100, NULL, NULL));
        assert_false(publish_text(store, 9, "nine", NULL));
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, store_set_up, store_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_new_generation_replaces_the_one_before),
        test(a_version_never_goes_back),
        test(a_generation_that_was_never_switched_to_is_replaced),
        test(old_generations_stay_until_they_are_removed),
        test(an_old_generation_can_be_read),
        test(broken_links_are_found_and_mended),
        test(a_text_larger_than_allowed_is_refused),
        test(a_current_that_points_elsewhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
