// SPDX-License-Identifier: Apache-2.0
/* index_conf_parse(): virt-builder's repos.d files, those that Debian installs among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index_fixture.h"

static GPtrArray *
parse(const char *text, GPtrArray **out_problems)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

    return index_conf_parse(bytes, "conf", out_problems, NULL);
}

static void
test_sources_are_read_and_bad_ones_left_out(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        guint sources, problems;
        const char *last; /* "id uri gpgkey proxy format" of the last source */
    } CASES[] = {
        {"[a]\nuri=http://h/i\n", 1, 0, "a http://h/i - - -"},
        {"[a]\nuri=http://h/i\ngpgkey=file:///k\nproxy=off\nformat=simplestreams\n", 1, 0,
         "a http://h/i file:///k off simplestreams"},
        {"[a]\r\nuri = x\r\n", 0, 2, NULL},
        {"[a]\r\nuri=http://h/i\r\nformat=\r\n", 1, 0, "a http://h/i - - -"},
        {"[a]\nuri=x\n[b]\nuri=y\n", 2, 0, "b y - - -"},
        {"[a]\nuri=x\n\n[b]\nuri=y\n\n[a]\nuri=z\n", 2, 0,
         "a z - - -"}, /* the last of one id, as virt-builder */
        {"[a]\ngpgkey=file:///k\n\n[b]\nuri=y\n", 1, 1, "b y - - -"},
        {"[a]\nuri=x\nuri=y\n", 0, 1, NULL},
        {"[a]\nuri=x\n y\n", 0, 1, NULL}, /* a line break in a URI */
        {"[a]\nuri=x\nenabled=0\nuri[x]=y\n", 1, 0, "a x - - -"},
        {"uri=x\n", 0, 1, NULL},
        {"", 0, 0, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) problems = NULL, confs = parse(CASES[i].text, &problems);
        g_autofree char *last = NULL;

        if (confs->len > 0) {
            const IndexConf *conf = g_ptr_array_index(confs, confs->len - 1);

#define OR_DASH(text) ((text) == NULL ? "-" : (text))
            last = g_strdup_printf("%s %s %s %s %s", conf->id, OR_DASH(conf->uri), OR_DASH(conf->gpgkey),
                                   OR_DASH(conf->proxy), OR_DASH(conf->format));
        }
        if (confs->len != CASES[i].sources || problems->len != CASES[i].problems ||
            g_strcmp0(last, CASES[i].last) != 0)
            fail_msg("case %zu: %u sources, %u problems: %s", i, confs->len, problems->len, last);
    }
}

static void
test_what_is_no_text_or_too_large_is_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(GBytes) nul = g_bytes_new_static("[a]\0\n", 5);
    g_autoptr(GBytes) large = g_bytes_new_take(g_malloc0(INDEX_MAX_CONF_BYTES + 1), INDEX_MAX_CONF_BYTES + 1);

    assert_null(index_conf_parse(nul, "conf", NULL, NULL));
    assert_null(index_conf_parse(large, "conf", NULL, NULL));
}

static void
test_more_sources_than_the_limit_are_left_out(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) problems = NULL, confs = NULL;

    for (unsigned i = 0; i < INDEX_MAX_CONFS + 5; i++)
        g_string_append_printf(text, "[s%u]\nuri=x\n", i);
    confs = parse(text->str, &problems);
    assert_int_equal(confs->len, INDEX_MAX_CONFS);
    assert_int_equal(problems->len, 5);
}

static void
test_the_files_that_debian_installs_are_read(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *leaf;
        guint sources;
    } FILES[] = {{"debian12-1.48.2-libguestfs.conf", 2}, {"debian12-1.48.2-opensuse.conf", 1}};
    g_autofree char *data = data_folder();

    for (size_t i = 0; i < G_N_ELEMENTS(FILES); i++) {
        g_autofree char *path = g_build_filename(data, "repos.d", FILES[i].leaf, NULL), *text = NULL;
        g_autoptr(GPtrArray) problems = NULL, confs = NULL;

        assert_true(g_file_get_contents(path, &text, NULL, NULL));
        confs = parse(text, &problems);
        assert_int_equal(problems->len, 0);
        assert_int_equal(confs->len, FILES[i].sources);
        for (guint k = 0; k < confs->len; k++) {
            const IndexConf *conf = g_ptr_array_index(confs, k);

            assert_true(g_str_has_prefix(conf->uri, "http://"));
            assert_true(g_str_has_prefix(conf->gpgkey, "file:///etc/virt-builder/repos.d/"));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_are_read_and_bad_ones_left_out),
        cmocka_unit_test(test_what_is_no_text_or_too_large_is_an_error),
        cmocka_unit_test(test_more_sources_than_the_limit_are_left_out),
        cmocka_unit_test(test_the_files_that_debian_installs_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
