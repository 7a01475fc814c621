// SPDX-License-Identifier: Apache-2.0
/* A pushed message: exactly what was printed comes out, and nothing but that is taken. */
#include "store_fixture.h"

#define HEAD "virt-depot-texts 1\n"
#define FOUR HEAD "index 2\na\n\nindex.asc 1\nb\nindex.sig 0\n\nkeys.asc 3\ncde\n"

static void
texts_clear(StoreText texts[STORE_MAX_TEXTS])
{
    for (size_t i = 0; i < STORE_MAX_TEXTS; i++)
        store_text_clear(&texts[i]);
}

static void
what_was_printed_is_parsed(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) one = g_bytes_new_static("one\n", 4), nothing = g_bytes_new_static("", 0);
    const StoreText texts[] = {{"index", one},    {"index.asc", nothing}, {"index.sig", one},
                               {"keys.asc", one}, {"trust", nothing},     {"trust.sig", one}};

    for (size_t n = 4; n <= 6; n += 2) {
        g_autoptr(GBytes) message = store_texts_print(texts, n);
        StoreText parsed[STORE_MAX_TEXTS] = {0};
        size_t n_parsed;

        assert_true(store_texts_parse(message, parsed, &n_parsed, NULL));
        assert_int_equal(n_parsed, n);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(parsed[i].name, texts[i].name);
            assert_true(g_bytes_equal(parsed[i].content, texts[i].content));
        }
        texts_clear(parsed);
    }
}

static void
anything_else_is_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *message, *expect;
    } rows[] = {
        {"", "begin"},
        {"virt-depot-texts 2\n", "begin"},
        {HEAD, "'index' is missing"},
        {HEAD "index 2\na\n\n", "'index.asc' is missing"},
        {FOUR "x", "'trust'"},
        {FOUR "trust 0\n\n", "'trust.sig' is missing"},
        {FOUR "trust 0\n\ntrust.sig 0\n\nmore 0\n\n", "nothing more"},
        {HEAD "index.asc 1\nb\n", "'index' and its size"},
        {HEAD "index 02\na\n\n", "'index' and its size"},
        {HEAD "index +2\na\n\n", "'index' and its size"},
        {HEAD "index  2\na\n\n", "'index' and its size"},
        {HEAD "index 2 \na\n\n", "'index' and its size"},
        {HEAD "index\n", "'index' and its size"},
        {HEAD "index 3\na\n\n", "3 bytes"},
        {HEAD "index 1\na\n\n", "'index.asc' and its size"},
        {HEAD "index 67108865\na\n", "'index' and its size"},
        {HEAD "index 99999999999999999999999\na\n", "'index' and its size"},
        {HEAD "index 67108864\na\n", "67108864 bytes"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GBytes) message = g_bytes_new_static(rows[i].message, strlen(rows[i].message));
        g_autoptr(GError) error = NULL;
        StoreText parsed[STORE_MAX_TEXTS] = {0};
        size_t n;

        assert_false(store_texts_parse(message, parsed, &n, &error));
        if (strstr(error->message, rows[i].expect) == NULL)
            fail_msg("row %zu: %s", i, error->message);
        texts_clear(parsed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_printed_is_parsed),
        cmocka_unit_test(anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
