// SPDX-License-Identifier: Apache-2.0
/* Sizes, safe text and secrets. */
#include "base/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

static void
ages_are_read_with_their_unit(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } rows[] = {
        {"0", 0},        {"0d", 0},        {"45s", 45},
        {"90m", 5400},   {"12h", 43200},   {"30d", 2592000},
        {"2w", 1209600}, {"", -1},         {"d", -1},
        {"5", -1},       {"-1d", -1},      {"1.5d", -1},
        {"1D", -1},      {"1dd", -1},      {" 1d", -1},
        {"1y", -1},      {"1000001d", -1}, {"99999999999999999999d", -1},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        int64_t seconds = -1;
        bool is_ok = cli_parse_age(rows[i].text, &seconds, &error);

        if (is_ok != (rows[i].seconds >= 0) || seconds != rows[i].seconds)
            fail_msg("'%s' gave %" G_GINT64_FORMAT, rows[i].text, (gint64)seconds);
        if (!is_ok)
            assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

static void
sizes_are_read_with_every_suffix(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } rows[] = {
        {"1", 1},
        {"512", 512},
        {"1b", 1},
        {"4K", 4096},
        {"8G", 8ull << 30},
        {"8g", 8ull << 30},
        {"1.5M", 3ull << 19},
        {"2T", 2ull << 40},
        {"1P", 1ull << 50},
        {"", 0},
        {"0", 0},
        {"-1", 0},
        {"+1", 0},
        {" 1", 0},
        {"G", 0},
        {"8GB", 0},
        {"8 G", 0},
        {"0x10", 0},
        {"1e3", 0},
        {"nan", 0},
        {"inf", 0},
        {"5000P", 0},
        {"99999999999999999999999999", 0},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        uint64_t bytes = 0;
        bool is_ok = cli_parse_size(rows[i].text, &bytes, &error);

        if (is_ok != (rows[i].bytes != 0) || bytes != rows[i].bytes)
            fail_msg("'%s' gave %" G_GUINT64_FORMAT, rows[i].text, (guint64)bytes);
        if (!is_ok)
            assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

static void
sizes_are_printed_for_people(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {3ull << 30, "3.0 GiB"}, {1536, "1.5 KiB"}};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = cli_format_size(rows[i].bytes);

        assert_string_equal(text, rows[i].text);
    }
}

static void
control_bytes_and_bad_utf8_never_reach_a_terminal(void **state)
{
    static const struct {
        const char *text;
        const char *safe;
    } rows[] = {
        {"plain", "plain"},
        {"\x1b[2Jx", "\\x1b[2Jx"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"caf\xe9", "caf\\xe9"},
        {"a\nb\rc", "a\\x0ab\\x0dc"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m"}, /* C1 CSI, a control character in valid UTF-8 */
        {NULL, "-"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *safe = cli_safe(rows[i].text);

        assert_string_equal(safe, rows[i].safe);
    }
}

static void
a_secret_is_the_first_line_of_its_file(void **state)
{
    static const struct {
        const char *content;
        const char *secret; /* NULL: refused */
    } rows[] = {
        {"pass word\nrest\n", "pass word"}, {"bare", "bare"}, {"dos\r\n", "dos"}, {"", NULL}, {"\nx", NULL}};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        char path[] = "/tmp/vd-secret-XXXXXX";
        int fd = g_mkstemp(path);
        g_autofree char *secret = NULL;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].content, strlen(rows[i].content)), strlen(rows[i].content));
        close(fd);
        secret = cli_read_secret(path, NULL);
        unlink(path);
        if (rows[i].secret == NULL)
            assert_null(secret);
        else
            assert_string_equal(secret, rows[i].secret);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_with_every_suffix),
        cmocka_unit_test(ages_are_read_with_their_unit),
        cmocka_unit_test(sizes_are_printed_for_people),
        cmocka_unit_test(control_bytes_and_bad_utf8_never_reach_a_terminal),
        cmocka_unit_test(a_secret_is_the_first_line_of_its_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
