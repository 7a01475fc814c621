// SPDX-License-Identifier: Apache-2.0
/* repod.conf: what is read, what is refused and how it is said, and which repository a request is for. */
#include "repod/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FINGERPRINT "0123456789abcdef0123456789ABCDEF01234567"
#define REPO "[repository a]\ndir=/srv/a\n"

static void
every_key_is_read(void **state G_GNUC_UNUSED)
{
    static const char TEXT[] =
        "# comment\n[server]\nlisten=127.0.0.1:80 [::1]:80 unix:/run/repod.sock\ntls-listen=0.0.0.0:443\n"
        "tls-certificate=/c.pem\ntls-key=/k.pem\ntls-client-ca=/ca.pem\nuser=repod\nstate=/var/lib/repod\n"
        "access-log=-\naccess-log-format=json\nmetrics=public\naudit-log=/var/log/"
        "audit\nsocket-mode=0640\nthreads=3\nmax-connections=5000\n"
        "max-client-connections=9\nhead-timeout=5s\nidle-timeout=2m\nbody-timeout=10s\nwrite-timeout=11s\n"
        "request-timeout=13s\ntls-timeout=12s\nstop-timeout=1h\nmin-body-rate=4K\nclient-requests="
        "100\nclient-burst=200\nclient-"
        "bytes=1M\n"
        "[repository "
        "a]\ndir=/srv/a\nhost=Images.Example.ORG\npath=/x/y/\npublic=no\npush=yes\nquota=1T\nmax-upload=2G\n"
        "fingerprints=" FINGERPRINT " " FINGERPRINT "\nurl=https://images.example.org/x/\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = config_parse(TEXT, strlen(TEXT), "conf", &error);
    const ConfigSite *site;

    if (config == NULL)
        fail_msg("%s", error->message);
    assert_int_equal(config->listen->len, 4);
    assert_string_equal(((ConfigListen *)g_ptr_array_index(config->listen, 2))->address,
                        "unix:/run/repod.sock");
    assert_true(((ConfigListen *)g_ptr_array_index(config->listen, 3))->is_tls);
    assert_string_equal(config->user, "repod");
    assert_true(config->is_log_json && config->is_metrics_public);
    assert_int_equal(config->threads, 3);
    assert_int_equal(config->socket_mode, 0640);
    assert_int_equal(config->max_client_connections, 9);
    assert_int_equal(config->idle_timeout_ms, 120000);
    assert_int_equal(config->request_timeout_ms, 13000);
    assert_int_equal(config->stop_timeout_ms, 3600000);
    assert_int_equal(config->min_body_rate, 4096);
    assert_int_equal(config->client_burst, 200);
    site = g_ptr_array_index(config->sites, 0);
    assert_string_equal(site->name, "a");
    assert_string_equal(site->host, "images.example.org");
    assert_string_equal(site->prefix, "x/y/");
    assert_true(!site->is_public && site->may_push);
    assert_int_equal(site->quota, G_GUINT64_CONSTANT(1) << 40);
    assert_int_equal(site->max_upload, G_GUINT64_CONSTANT(2) << 30);
    assert_int_equal(g_strv_length(site->fingerprints), 2);
    assert_string_equal(site->fingerprints[1], "0123456789ABCDEF0123456789ABCDEF01234567");
    assert_string_equal(site->url, "https://images.example.org/x/");
}

static void
a_repository_alone_gets_defaults_that_a_public_server_can_keep(void **state G_GNUC_UNUSED)
{
    g_autoptr(Config) config = config_parse(REPO, strlen(REPO), "conf", NULL);
    const ConfigSite *site = g_ptr_array_index(config->sites, 0);

    assert_true(site->is_public && !site->may_push && site->host == NULL);
    assert_string_equal(site->prefix, "");
    assert_true(config->max_connections > 0 && config->max_client_connections > 0 &&
                config->head_timeout_ms > 0 && config->idle_timeout_ms > 0 && config->body_timeout_ms > 0 &&
                config->write_timeout_ms > 0 && config->min_body_rate > 0);
}

static void
what_is_wrong_is_named(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        const char *words;
    } CASES[] = {
        {"", "sections [repository NAME]"},
        {"[server]\n", "sections [repository NAME]"},
        {"dir=/srv\n", "conf: "},
        {"[server\n", "conf: "},
        {"[servers]\n" REPO, "[servers]: no such section"},
        {"[repository]\ndir=/srv\n", "no such section"},
        {"[repository ]\ndir=/srv\n", "a name of letters"},
        {"[repository .a]\ndir=/srv\n", "a name of letters"},
        {"[repository a/b]\ndir=/srv\n", "a name of letters"},
        {"[repository a]\n", "'dir' is missing"},
        {"[repository a]\ndir=srv\n", "dir: 'srv': an absolute path"},
        {"[repository a]\ndir=-\n", "an absolute path"},
        {"[repository a]\ndir=\n", "dir: a value is expected"},
        {REPO "color=red\n", "[repository a]: 'color' is no key there"},
        {REPO "public=maybe\n", "public: 'maybe': yes or no"},
        {REPO "quota=lots\n", "quota: 'lots': not a size"},
        {REPO "path=/a/../b\n", "path: '/a/../b'"},
        {REPO "path=a b\n", "path: 'a b'"},
        {REPO "push=yes\n", "need 'state'"},
        {REPO "public=no\n", "need 'state'"},
        {REPO "fingerprints=0123\n", "40"},
        {REPO "fingerprints=" FINGERPRINT " x\n", "40"},
        {REPO "url=ftp://a/\n", "http:// or https://"},
        {REPO "url=https://a\n", "a slash at the end"},
        {REPO "url=https://a/'\"/\n", "a plain URL"},
        {REPO "url=https://\n", "a slash at the end"},
        {"[server]\nmetrics=secret\n" REPO, "public or private"},
        {"[server]\nthreads=0\n" REPO, "threads: '0': a number from 1 to 256"},
        {"[server]\nsocket-mode=0888\n" REPO, "an octal mode"},
        {"[server]\ntls-key=/k\n" REPO, "needs 'tls-certificate'"},
        {"[server]\ntls-client-ca=/c\n" REPO, "needs 'tls-certificate'"},
        {"[server]\nthreads=x\n" REPO, "threads: 'x'"},
        {"[server]\nhead-timeout=0\n" REPO, "1s to 1d"},
        {"[server]\nhead-timeout=15\n" REPO, "not an age"},
        {"[server]\naccess-log-format=xml\n" REPO, "text or json"},
        {"[server]\ntls-listen=0.0.0.0:443\n" REPO, "needs 'tls-certificate'"},
        {"[server]\nlisten=\n[repository a]\ndir=/a\n[repository b]\ndir=/b\n",
         "'a' and 'b' have the same host and path"},
        {"[repository a]\ndir=/a\npath=/x\n[repository b]\ndir=/b\npath=x/\n", "same host and path"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Config) config = config_parse(CASES[i].text, strlen(CASES[i].text), "conf", &error);

        if (config != NULL)
            fail_msg("accepted: %s", CASES[i].text);
        if (strstr(error->message, CASES[i].words) == NULL || !g_str_has_prefix(error->message, "conf: "))
            fail_msg("'%s' gave: %s", CASES[i].text, error->message);
        assert_int_equal(error->code, BASE_ERROR_USAGE);
    }
}

static void
a_request_is_for_the_nearest_repository(void **state G_GNUC_UNUSED)
{
    static const char TEXT[] =
        "[repository root]\ndir=/1\n[repository images]\ndir=/2\npath=/images\n"
        "[repository deep]\ndir=/3\npath=/images/old\n[repository host]\ndir=/4\nhost=b.example\n"
        "[repository both]\ndir=/5\nhost=b.example\npath=images\n";
    static const struct {
        const char *host, *path, *site, *rest;
    } CASES[] = {
        {"a.example", "index.asc", "root", "index.asc"},
        {NULL, "", "root", ""},
        {"a.example", "images/index", "images", "index"},
        {"a.example", "images", "root", "images"},
        {"a.example", "images2/index", "root", "images2/index"},
        {"a.example:8080", "images/old/index", "deep", "index"},
        {"B.example:8080", "index", "host", "index"},
        {"b.example.", "images/index", "both", "index"},
        {"b.example.:1", "images/old/index", "both", "old/index"},
        {"b.example2", "index", "root", "index"},
        {"b.exampl", "index", "root", "index"},
    };
    g_autoptr(Config) config = config_parse(TEXT, strlen(TEXT), "conf", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const char *host = CASES[i].host, *rest;
        const ConfigSite *site =
            config_find_site(config, host, host != NULL ? strlen(host) : 0, CASES[i].path, &rest);

        if (strcmp(site->name, CASES[i].site) != 0 || strcmp(rest, CASES[i].rest) != 0)
            fail_msg("row %zu: %s, '%s'", i, site->name, rest);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_repository_alone_gets_defaults_that_a_public_server_can_keep),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_request_is_for_the_nearest_repository),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
