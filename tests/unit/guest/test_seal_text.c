// SPDX-License-Identifier: Apache-2.0
/* Lines and users that are taken out of a guest's tables. */
#include "guest/seal_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PASSWD                                                                                               \
    "root:x:0:0:root:/root:/bin/sh\n"                                                                        \
    "daemon:x:1:1::/usr/sbin:/bin/false\n"                                                                   \
    "bob:x:1000:1000::/home/bob:/bin/sh\n"                                                                   \
    "eve:x:1001:1001::/home/eve:/bin/sh\n"                                                                   \
    "nobody:x:65534:65534::/nonexistent:/bin/false\n"

static void
lines_go_that_start_with_a_word(void **state G_GNUC_UNUSED)
{
    static const char *const STARTS[] = {"HWADDR=", "hwaddress ", NULL};
    static const struct {
        const char *text, *expected;
    } CASES[] = {
        {"A=1\nHWADDR=00:11\nB=2\n", "A=1\nB=2\n"},
        {"HWADDR=00:11", ""},
        {"iface x\n\thwaddress 00\n", "iface x\n"},
        {"#HWADDR=00\nXHWADDR=1\n", "#HWADDR=00\nXHWADDR=1\n"},
        {"no newline", "no newline"},
        {"", ""},
        {"\n\n", "\n\n"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *text = seal_text_drop_lines(CASES[i].text, STARTS);

        assert_string_equal(text, CASES[i].expected);
    }
}

/* accounts: "NAME=HOME" words */
static char *
accounts(const char *passwd, const char *defaults, const char *keep, const char *remove)
{
    g_auto(GStrv) keeps = keep != NULL ? g_strsplit(keep, ",", -1) : NULL;
    g_auto(GStrv) removes = remove != NULL ? g_strsplit(remove, ",", -1) : NULL;
    g_autoptr(GPtrArray) found =
        seal_text_accounts(passwd, defaults, (const char *const *)keeps, (const char *const *)removes, NULL);
    GString *text = g_string_new(NULL);

    if (found == NULL)
        g_string_append(text, "error");
    for (unsigned i = 0; found != NULL && i < found->len; i++) {
        const SealAccount *account = found->pdata[i];

        g_string_append_printf(text, "%s%s=%s", i > 0 ? " " : "", account->name,
                               account->home != NULL ? account->home : "-");
    }
    return g_string_free(text, FALSE);
}

static void
people_are_who_login_defs_says(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *passwd, *defaults, *keep, *remove, *expected;
    } CASES[] = {
        {PASSWD, "", NULL, NULL, "bob=/home/bob eve=/home/eve"},
        {PASSWD, "UID_MIN\t1001\n", NULL, NULL, "eve=/home/eve"},
        {PASSWD, "#UID_MIN 1\nUID_MAX 1000\n", NULL, NULL, "bob=/home/bob"},
        {PASSWD, "UID_MIN 0\n", "daemon", NULL, "bob=/home/bob eve=/home/eve"}, /* never root */
        {PASSWD, "", "bob,eve", NULL, ""},
        {PASSWD, "", NULL, "eve", "eve=/home/eve"},
        {PASSWD, "", NULL, "mallory", "error"},
        {PASSWD, "", NULL, "root", "error"},
        {PASSWD, "", NULL, "daemon", "error"},
        {PASSWD, "", "eve", "eve", "error"},
        {"a:x:1000:1::/srv:/b\nb:x:1001:1::/:/b\nc:x:1002:1::/srv/../etc/x:/b\n", "", NULL, NULL,
         "a=- b=- c=-"},
        {"a:x:1000:1::/data/x:/b\nb:x:99:1::/data/x/y:/b\n", "", NULL, NULL,
         "a=-"}, /* somebody lives there */
        {"a:x:1000:1::/data/x:/b\nb:x:99:1::/data/xy:/b\n", "", NULL, NULL, "a=/data/x"},
        {"damaged\n::::::\na:x:1000\n", "", NULL, NULL, ""},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *text = accounts(CASES[i].passwd, CASES[i].defaults, CASES[i].keep, CASES[i].remove);

        assert_string_equal(text, CASES[i].expected);
    }
}

static void
a_user_goes_from_every_table(void **state G_GNUC_UNUSED)
{
    static const struct {
        char *(*drop)(const char *text, const char *user);
        const char *text, *expected;
    } CASES[] = {
        {seal_text_drop_user, "bob:x:1\nbobby:x:2\n", "bobby:x:2\n"},
        {seal_text_drop_user, "a:x:1\n", "a:x:1\n"},
        {seal_text_drop_member, "bob:x:1000:\nadm:x:4:bob,eve\n", "adm:x:4:eve\n"},
        {seal_text_drop_member, "bob:x:1000:eve\n", "bob:x:1000:eve\n"}, /* somebody else's group, too */
        {seal_text_drop_member, "bob:x:1000:bob\n", ""},
        {seal_text_drop_member, "adm:!:bob:bob,eve\n", "adm:!::eve\n"},
        {seal_text_drop_member, "adm:x:4:bobby\n", "adm:x:4:bobby\n"},
        {seal_text_drop_member, "damaged:bob\n", "damaged:bob\n"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *text = CASES[i].drop(CASES[i].text, "bob");

        assert_string_equal(text, CASES[i].expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_that_start_with_a_word),
        cmocka_unit_test(people_are_who_login_defs_says),
        cmocka_unit_test(a_user_goes_from_every_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
