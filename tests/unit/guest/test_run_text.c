// SPDX-License-Identifier: Apache-2.0
/* How programs of a guest are run, and what of their output is repeated. */
#include "guest/run_text.h"

#include "sh_syntax.h"

#include <string.h>

static void
the_proxies_of_the_environment_are_passed_on_and_nothing_else(void **state G_GNUC_UNUSED)
{
    const char *environment[] = {
        "HOME=/x", "http_proxy=http://p:3128/?a'b", "no_proxy=", "http_proxy2=no", "odd", NULL};
    g_autofree char *text = run_wrapper("/tmp/virt-depot-1", environment);

    assert_string_equal(text, "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                              "export HOME=/root TERM=dumb SYSTEMD_OFFLINE=1\n"
                              "export http_proxy='http://p:3128/?a'\\''b'\n"
                              "export no_proxy=''\n"
                              "cd / && /tmp/virt-depot-1/script </dev/null >/tmp/virt-depot-1/log 2>&1\n"
                              "echo $?\n");
    assert_shell_reads(text);
}

static void
only_the_end_of_the_output_is_repeated_and_it_cannot_move_the_cursor(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *log, *said;
    } table[] = {
        {"", ""},
        {"\n\n", ""},
        {"one\ntwo\n", "one | two"},
        {"a\033[2Jb\tc\xff\n", "a [2Jb\tc\xef\xbf\xbd"},
        {"dos\r\n10%\r50%\rdone\r\n\n", "dos | done"},
        {"0\n1\n2\n3\n4\n5\n6\n", "1 | 2 | 3 | 4 | 5 | 6"},
    };
    g_autofree char *log = g_strnfill(5000, 'x');
    g_autofree char *said = run_last_lines(log, 5000);
    g_autofree char *zero = run_last_lines("a\0b", 3);

    assert_int_equal(strlen(said), RUN_MAX_BYTES);
    assert_string_equal(zero, "a\xef\xbf\xbd"
                              "b");
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *end = run_last_lines(table[i].log, strlen(table[i].log));

        assert_string_equal(end, table[i].said);
    }
}

static void
programs_run_on_their_own_kind_of_processor_alone(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *host, *guest;
        bool is_possible;
    } table[] = {
        {"x86_64", "x86_64", true},   {"x86_64", "i386", true},     {"i686", "i386", true},
        {"i686", "x86_64", false},    {"aarch64", "aarch64", true}, {"aarch64", "arm", false},
        {"armv7l", "arm", true},      {"ppc64le", "ppc64le", true}, {"ppc64", "ppc64le", false},
        {"x86_64", "aarch64", false},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++)
        if (run_is_possible(table[i].host, table[i].guest) != table[i].is_possible)
            fail_msg("%s on %s", table[i].guest, table[i].host);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_proxies_of_the_environment_are_passed_on_and_nothing_else),
        cmocka_unit_test(only_the_end_of_the_output_is_repeated_and_it_cannot_move_the_cursor),
        cmocka_unit_test(programs_run_on_their_own_kind_of_processor_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
