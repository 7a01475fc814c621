// SPDX-License-Identifier: Apache-2.0
/* Decisions about new VMs, as tables. */
#include "deploy/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
names_and_host_names_are_numbered(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *name, *hostname;
        unsigned count;
        const char *last_name, *last_hostname; /* NULL: refused */
    } cases[] = {
        {"web", NULL, 1, "web", "web"},
        {"web", NULL, 3, "web-3", "web-3"},
        {"web", "www.example.org", 1, "web", "www.example.org"},
        {"web", "www.example.org", 2, "web-2", "www-2.example.org"},
        {"web.1", NULL, 2, "web.1-2", "web.1-2"},
        {"web_1", "web1", 1, "web_1", "web1"},
        {"web_1", NULL, 1, NULL, NULL},
        {"web", "-web", 1, NULL, NULL},
        {"web", "web..org", 1, NULL, NULL},
        {"web", "", 1, NULL, NULL},
        {"", "h", 1, NULL, NULL},
        {"../web", "h", 1, NULL, NULL},
        {"-web", "h", 1, NULL, NULL},
        {".web", "h", 1, NULL, NULL},
        {"w eb", "h", 1, NULL, NULL},
        {"web", NULL, 0, NULL, NULL},
        {"web", NULL, DEPLOY_MAX_COUNT + 1, NULL, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const DeployRequest request = {
            .name = cases[i].name, .hostname = cases[i].hostname, .count = cases[i].count};
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) vms = deploy_plan_vms(&request, &error);

        if (cases[i].last_name == NULL) {
            if (vms != NULL)
                fail_msg("case %zu: '%s' was accepted", i, cases[i].name);
            assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
            continue;
        }
        assert_non_null(vms);
        assert_int_equal(vms->len, cases[i].count);
        assert_string_equal(((DeployVm *)vms->pdata[vms->len - 1])->name, cases[i].last_name);
        assert_string_equal(((DeployVm *)vms->pdata[vms->len - 1])->hostname, cases[i].last_hostname);
    }
}

static void
an_untouched_guest_needs_no_host_name(void **state G_GNUC_UNUSED)
{
    const DeployRequest request = {.name = "web_1", .count = 1, .is_uncustomized = true};
    g_autoptr(GPtrArray) vms = deploy_plan_vms(&request, NULL);

    assert_non_null(vms);
}

static void
networks_are_told_apart(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        bool is_good;
        NetworkKind kind;
        const char *name;
    } cases[] = {
        {"none", true, NETWORK_NONE, NULL},
        {"user", true, NETWORK_USER, NULL},
        {"default", true, NETWORK_NAMED, "default"},
        {"bridge:br0", true, NETWORK_BRIDGE, "br0"},
        {"bridge:", false, NETWORK_NONE, NULL},
        {"bridge:../../x", false, NETWORK_NONE, NULL},
        {"bridge:abcdefghijklmnop", false, NETWORK_NONE, NULL},
        {"", false, NETWORK_NONE, NULL},
        {"a/b", false, NETWORK_NONE, NULL},
        {"a\nb", false, NETWORK_NONE, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Network network = {NETWORK_NONE, NULL};
        bool is_good = deploy_plan_network_parse(cases[i].text, &network, NULL);

        if (is_good != cases[i].is_good || network.kind != cases[i].kind ||
            g_strcmp0(network.name, cases[i].name) != 0)
            fail_msg("'%s'", cases[i].text);
    }
}

static void
only_this_host_is_deployed_to(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *uri;
        bool is_good, is_session;
    } cases[] = {
        {"qemu:///system", true, false},
        {"qemu:///session", true, true},
        {"qemu:///system?socket=/run/x", true, false},
        {"qemu+unix:///session", true, true},
        {"qemu+ssh://host/system", false, false},
        {"qemu://host/system", false, false},
        {"qemu:///embed?root=/x", false, false},
        {"xen:///", false, false},
        {"", false, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool is_session = false;

        if (deploy_plan_uri_check(cases[i].uri, &is_session, NULL) != cases[i].is_good ||
            is_session != cases[i].is_session)
            fail_msg("'%s'", cases[i].uri);
    }
}

static void
auto_means_a_reflink_or_else_linked(void **state G_GNUC_UNUSED)
{
    static const struct {
        DeployMode asked;
        DiskFormat format;
        bool can_reflink;
        DeployMode mode;
        bool has_reason;
    } cases[] = {
        {DEPLOY_AUTO, DISK_RAW, true, DEPLOY_FULL, true},
        {DEPLOY_AUTO, DISK_RAW, false, DEPLOY_LINKED, true},
        {DEPLOY_AUTO, DISK_QCOW2, true, DEPLOY_LINKED, true},
        {DEPLOY_FULL, DISK_RAW, false, DEPLOY_FULL, false},
        {DEPLOY_LINKED, DISK_RAW, true, DEPLOY_LINKED, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *reason = NULL;

        assert_int_equal(deploy_plan_mode(cases[i].asked, cases[i].format, cases[i].can_reflink, &reason),
                         cases[i].mode);
        assert_int_equal(reason != NULL, cases[i].has_reason);
    }
}

static void
sizes_are_whole_sectors_and_never_shrink(void **state G_GNUC_UNUSED)
{
    uint64_t size = 0;
    g_autoptr(GError) error = NULL;

    assert_true(deploy_plan_size(0, 1000, &size, NULL));
    assert_int_equal(size, 1024);
    assert_true(deploy_plan_size(4096, 1024, &size, NULL));
    assert_int_equal(size, 4096);
    assert_false(deploy_plan_size(512, 1024, &size, &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    assert_string_equal(error->message, "--size 512: is less than the image's 1K");
}

static void
fill_counting(void *data, size_t size)
{
    static uint8_t next;

    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = next++;
}

static void
passwords_and_addresses_have_their_form(void **state G_GNUC_UNUSED)
{
    static const uint8_t random[3] = {0, 0xab, 0xff};
    g_autofree char *mac = deploy_plan_mac(random);
    g_autofree char *password = deploy_plan_password(600, fill_counting);

    assert_string_equal(mac, "52:54:00:00:ab:ff");
    assert_int_equal(strlen(password), 600);
    assert_null(strpbrk(password, "l1IoO0"));
    /* Every letter as often as every other: 224 of the 256 bytes are used, four for each of 56 letters. */
    password[224] = '\0';
    for (char c = '2'; c <= '9'; c++) {
        unsigned n = 0;

        for (const char *at = password; *at != '\0'; at++)
            n += *at == c;
        assert_int_equal(n, 4);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_host_names_are_numbered),
        cmocka_unit_test(an_untouched_guest_needs_no_host_name),
        cmocka_unit_test(networks_are_told_apart),
        cmocka_unit_test(only_this_host_is_deployed_to),
        cmocka_unit_test(auto_means_a_reflink_or_else_linked),
        cmocka_unit_test(sizes_are_whole_sectors_and_never_shrink),
        cmocka_unit_test(passwords_and_addresses_have_their_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
