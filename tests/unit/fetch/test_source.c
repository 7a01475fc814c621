// SPDX-License-Identifier: Apache-2.0
/* Stored sources: what is written reads back, and what people write by hand is understood or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/file.h"
#include "fetch/cache.h"
#include "fetch/source.h"

#include <string.h>

#define PIN "0123456789ABCDEF0123456789ABCDEF01234567"

static int
make_home(void **state)
{
    char *home = g_dir_make_tmp("vdXXXXXX", NULL);

    g_setenv("VIRT_DEPOT_HOME", home, TRUE);
    *state = home;
    return 0;
}

static int
remove_home(void **state)
{
    file_remove_tree(*state, NULL);
    g_free(*state);
    return 0;
}

static void
write_file(const char *home, const char *leaf, const char *text)
{
    g_autofree char *folder = g_build_filename(home, "config/sources.d", NULL);
    g_autofree char *path = g_build_filename(folder, leaf, NULL);

    assert_true(file_make_dirs(folder, 0755, NULL));
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
test_a_stored_source_reads_back(void **state G_GNUC_UNUSED)
{
    g_autoptr(Source) source = source_new("src", "http://h/index.asc"), read = NULL;
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free), all = NULL;

    g_strfreev(source->pins);
    source->pins = g_strsplit(PIN " " PIN, " ", -1);
    source->keys = g_bytes_new_static("keys", 4);
    source->repo_id = g_strdup("0f8fad5b-d9cb-469f-a165-70867728950e");
    g_strfreev(source->roots);
    source->roots = g_strsplit(PIN " " PIN, " ", -1);
    source->threshold = 2;
    source->priority = -7;
    source->max_age = 5;
    source->format = SOURCE_STREAMS;
    source->is_enabled = false;
    g_strfreev(source->mirrors);
    source->mirrors = g_strsplit("http://m1/ http://m2/", " ", -1);
    source->proxy = g_strdup("no");
    source->ca = g_strdup("/ca.pem");
    source->credential = g_strdup("@name");
    assert_true(source_write(source, NULL));
    read = source_read("src", NULL);
    assert_int_equal(read->priority, -7);
    assert_int_equal(source_max_age(read), 5);
    assert_int_equal(read->format, SOURCE_STREAMS);
    assert_false(read->is_enabled || read->is_fallback);
    assert_int_equal(g_strv_length(read->mirrors), 2);
    assert_string_equal(read->mirrors[1], "http://m2/");
    assert_string_equal(read->proxy, "no");
    assert_string_equal(read->ca, "/ca.pem");
    assert_string_equal(read->credential, "@name");
    assert_int_equal(g_strv_length(read->roots), 2);
    assert_int_equal(read->threshold, 2);
    assert_string_equal(read->uri, source->uri);
    assert_string_equal(read->repo_id, source->repo_id);
    assert_int_equal(g_strv_length(read->pins), 2);
    assert_true(g_bytes_equal(read->keys, source->keys));
    assert_false(read->is_unsigned);
    all = source_read_all(warnings);
    assert_int_equal(all->len, 1);
    assert_true(source_remove("src", NULL));
    assert_null(source_read("src", NULL));
}

static void
test_files_written_by_hand_are_read_or_refused(void **state)
{
    static const struct {
        const char *text;
        bool is_good, is_unsigned;
    } CASES[] = {
        {"[source]\nuri=http://h/index.asc\nunsigned=yes\n", true, true},
        {"[source]\nuri=http://h/index.asc\nfingerprints=" PIN "\n", true, false},
        {"[source]\nuri=http://h/index.asc\nfingerprints=" PIN ";" PIN "\nunsigned=no\n", true, false},
        {"[source]\nuri=http://h/index.asc\n", false, false}, /* never unsigned in silence */
        {"[source]\nuri=http://h/index.asc\nfingerprints=\n", false, false},
        {"[source]\nuri=http://h/index.asc\nfingerprints=01234567\n", false, false},
        {"[source]\nuri=http://h/index.asc\nunsigned=maybe\n", false, false},
        {"[source]\nuri=http://h/index.asc\nroots=" PIN ";" PIN "\nthreshold=2\n", true, false},
        {"[source]\nuri=http://h/index.asc\nroots=" PIN "\nthreshold=2\n", false, false},
        {"[source]\nuri=http://h/index.asc\nroots=" PIN "\nthreshold=0\n", false, false},
        {"[source]\nuri=http://h/index.asc\nfingerprints=" PIN "\nthreshold=1\n", false, false},
#define PLACE "[source]\nunsigned=yes\nuri=http://h/index.asc\n"
        {PLACE "enabled=no\npriority=-3\nproxy=system\nmax-age=0\n", true, true},
        {PLACE "mirrors=http://m/index.asc;file:///srv/m/index.asc\n", true, true},
        {PLACE "mirrors=ftp://m/\n", false, false},
        {PLACE "enabled=perhaps\n", false, false},
        {PLACE "priority=high\n", false, false},
        {PLACE "priority=1.5\n", false, false},
        {PLACE "max-age=-1\n", false, false},
        {PLACE "format=tuf\n", false, false},
        {PLACE "proxy=http://u:p@h/\n", false, false},
        {PLACE "proxy=yes\n", false, false},
        {PLACE "ca=ca.pem\n", false, false},
        {PLACE "credential=user:secret\n", false, false}, /* a secret does not belong here */
        {PLACE "credential=@../x\n", false, false},
        {"[source]\nenabled=no\n", true, false},
        {"[source]\nenabled=yes\n", false, false},
        {"[other]\nenabled=no\n", false, false},
        {"[source]\nuri=ftp://h/index.asc\nunsigned=yes\n", false, false},
        {"[source]\nunsigned=yes\n", false, false},
        {"uri=x\n", false, false},
        {"", false, false},
    };

    write_file(*state, "x.asc", "keys");
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free), all = NULL;
        g_autoptr(Source) source = NULL;

        write_file(*state, "x.conf", CASES[i].text);
        source = source_read("x", NULL);
        if ((source != NULL) != CASES[i].is_good ||
            (source != NULL && source->is_unsigned != CASES[i].is_unsigned))
            fail_msg("case %zu: %s", i, CASES[i].text);
        all = source_read_all(warnings);
        assert_int_equal(all->len + warnings->len, 1);
    }
}

static void
test_what_a_user_types_becomes_the_url_of_the_index(void **state G_GNUC_UNUSED)
{
    static const char *const CASES[][2] = {
        {"http://h/r", "http://h/r/index.asc"},
        {"http://h/r///", "http://h/r/index.asc"},
        {"http://h/r/index", "http://h/r/index.asc"},
        {"http://h/x.asc", "http://h/x.asc"},
        {"file:///srv/r/", "file:///srv/r/index.asc"},
        {"/srv/r", "/srv/r/index.asc"},
        {"/srv/../srv/r/index.asc", "/srv/r/index.asc"},
        {"http://h/r?x", NULL},
        {"ftp://h/", NULL},
        {"", NULL},
    };
    static const char *const STREAMS[][2] = {
        {"http://h/r", "http://h/r/"},
        {"http://h/r//", "http://h/r/"},
        {"http://h", "http://h/"},
        {"http://h/r/streams/v1/index.json", "http://h/r/"},
        {"http://h/r/streams/v1/index.sjson", "http://h/r/"},
        {"http://h/streams/v1/", "http://h/"},
        {"/srv/s", "/srv/s/"},
        {"http://h/r?x", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(STREAMS); i++) {
        g_autofree char *uri = source_normal_uri(STREAMS[i][0], SOURCE_STREAMS, NULL);

        if (g_strcmp0(uri, STREAMS[i][1]) != 0)
            fail_msg("%s: %s", STREAMS[i][0], uri);
    }

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *uri = source_normal_uri(CASES[i][0], SOURCE_NATIVE, NULL);

        if (g_strcmp0(uri, CASES[i][1]) != 0)
            fail_msg("%s: %s", CASES[i][0], uri);
    }
}

static void
test_only_a_digest_becomes_part_of_a_path(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *sha512, *sha256;
        bool is_good;
    } CASES[] = {
        {NULL, NULL, false},
        {"../../etc/passwd", NULL, false},
        {NULL, "../../etc/passwd", false},
        {NULL, "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789", true},
        {"", "", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(IndexEntry) entry = index_entry_new();
        g_auto(CacheKey) key = {0};
        g_autoptr(GError) error = NULL;

        entry->sha512 = g_strdup(CASES[i].sha512);
        entry->sha256 = g_strdup(CASES[i].sha256);
        assert_int_equal(cache_key_init(&key, entry, &error), CASES[i].is_good);
        if (CASES[i].is_good)
            assert_string_equal(key.id,
                                "sha256-abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
        else
            assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED));
    }
}

int
main(void)
{
#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        IN_A_HOME(test_a_stored_source_reads_back),
        IN_A_HOME(test_files_written_by_hand_are_read_or_refused),
        IN_A_HOME(test_what_a_user_types_becomes_the_url_of_the_index),
        IN_A_HOME(test_only_a_digest_becomes_part_of_a_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
