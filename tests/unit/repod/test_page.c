// SPDX-License-Identifier: Apache-2.0
/* The pages: what they say, that nothing in an index can become markup, and what their policy allows. */
#include "repod/page.h"

#include "base/digest.h"
#include "repod/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FINGERPRINT "0123456789ABCDEF0123456789ABCDEF01234567"
#define SHA512                                                                                               \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REPLACEMENT "\xef\xbf\xbd"

static Index *
parse(const char *text)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
    Index *index = index_parse(bytes, "index", NULL, NULL);

    assert_non_null(index);
    return index;
}

static Catalogue *
catalogue_of(const char *site, const char *text)
{
    Catalogue *catalogue = catalogue_new(site);

    catalogue->index = parse(text);
    catalogue->fingerprint = g_strdup(FINGERPRINT);
    catalogue->signed_at = 1700000000;
    catalogue->expires_at = 1800000000;
    catalogue_add_version(catalogue, catalogue->index);
    return catalogue;
}

static char *
fill(const Page *page, const char *url)
{
    g_autoptr(GBytes) rest = NULL;
    g_autoptr(GBytes) bytes = page_fill(page, url, &rest);
    GString *whole = g_string_new_len(g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));

    g_string_append_len(whole, g_bytes_get_data(rest, NULL), (gssize)g_bytes_get_size(rest));
    return g_string_free(whole, FALSE);
}

static char *
render(const Catalogue *catalogue, const char *url)
{
    g_autoptr(Page) page = page_new();

    page_render(page, catalogue);
    return fill(page, url);
}

static void
assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

static void
escapes_whatever_a_text_holds(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        size_t max;
        const char *expected;
    } rows[] = {
        {NULL, 100, ""},
        {"plain \xc3\xa9\n\t", 100, "plain \xc3\xa9\n\t"},
        {"<script>alert('1')</script>&\"", 100, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"},
        {"a\x01\x1b[31m\x7f", 100, "a" REPLACEMENT REPLACEMENT "[31m" REPLACEMENT},
        {"\xc2\x9b", 100, REPLACEMENT}, /* CSI of C1 */
        {"\xe2\x80\xae"
         "gpj.exe",
         100, REPLACEMENT "gpj.exe"},                  /* right-to-left override */
        {"\xd7\xa9\xd7\x9c", 100, "\xd7\xa9\xd7\x9c"}, /* Hebrew letters are letters */
        {"\xff\xc3(\xe2\x82", 100, REPLACEMENT REPLACEMENT "(" REPLACEMENT REPLACEMENT},
        {"\xed\xa0\x80", 100, REPLACEMENT REPLACEMENT REPLACEMENT}, /* a surrogate */
        {"abcdef", 3, "abc\xe2\x80\xa6"},
        {"ab\xc3\xa9", 3, "ab\xe2\x80\xa6"}, /* never half a letter */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) out = g_string_new(NULL);

        html_append(out, rows[i].text, rows[i].max);
        assert_string_equal(out->str, rows[i].expected);
    }
}

static void
a_path_in_a_link_has_no_scheme_and_no_quote(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) out = g_string_new(NULL);

    html_append_path(out, "javascript:a('\"<>&?#%\xc3/b.xz");
    assert_string_equal(out->str, "./javascript%3Aa%28%27%22%3C%3E%26%3F%23%25%C3/b.xz");
}

static void
shows_what_is_needed_to_choose_and_to_use_an_image(void **state G_GNUC_UNUSED)
{
    g_autoptr(Catalogue) catalogue = catalogue_of(
        "lab", "# version: 7\n\n[debian-12]\nname=Debian 12\nosinfo=debian12\narch=x86_64\nfile=a/b.xz\n"
               "checksum[sha512]=" SHA512 "\nrevision=3\nsize=6442450944\ncompressed_size=209715200\n"
               "notes=Root has no password.\nx_packages=blobs/sha512/aa/b\n\n"
               "[secret]\narch=x86_64\nfile=s\nsize=1\nhidden=true\n\n");
    g_autofree char *html = render(catalogue, "https://images.example.org/lab/");

    assert_has(html, "<h3><bdi>Debian 12</bdi></h3>");
    assert_has(html,
               "virt-depot source add lab https://images.example.org/lab/ \\\n    --fingerprint " FINGERPRINT
               "\n");
    assert_has(html, "uri=https://images.example.org/lab/index.asc\n");
    assert_has(html, "virt-depot pull lab/debian-12 --arch x86_64</code>");
    assert_has(html, "virt-builder debian-12 --arch x86_64</code>");
    assert_has(html, "<data value=\"6442450944\">6.0");
    assert_has(html, "<data value=\"209715200\">200.0");
    assert_has(html, SHA512);
    assert_has(html, "href=\"./a/b.xz\"");
    assert_has(html, "href=\"./blobs/sha512/aa/b\"");
    assert_has(html, "Root has no password.");
    assert_has(html, "data-os=\"debian\"");
    assert_has(html, "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567");
    assert_has(html, "<time datetime=\"2027-01-15T08:00:00Z\">");
    assert_null(strstr(html, "secret"));
}

/* The page's own markup holds these tags once or never; an index must not add to them. */
static void
a_hostile_index_stays_text(void **state G_GNUC_UNUSED)
{
    static const char evil[] =
        "</code></bdi></style></script><script>alert(1)</script><img src=x onerror=alert(2)>"
        "\"'><svg onload=alert(3)>&lt;\x1b]0;x\x07\xe2\x80\xae";
    g_autofree char *text =
        g_strdup_printf("[evil]\nname=%s\nosinfo=%s\narch=x86_64\nfile=a\"><script>alert(4)</"
                        "script>\nsize=1\nnotes=%s\nx_os=%s\n"
                        "x_os_version=%s\nx_firmware=%s\nx_packages=blobs/\"><script>alert(5)</script>\n\n",
                        evil, evil, evil, evil, evil, evil);
    g_autoptr(Catalogue) catalogue = catalogue_of("default", text);
    g_autofree char *html = render(catalogue, "http://h/");
    unsigned n_scripts = 0;

    assert_int_equal(catalogue->index->entries->len, 1);
    for (const char *at = html; (at = strstr(at, "<script")) != NULL; at++)
        n_scripts++;
    assert_int_equal(n_scripts, 1); /* our own */
    assert_null(strstr(html, "<img"));
    assert_null(strstr(html, "<svg on"));
    assert_null(strchr(html, '\x1b'));
    assert_null(strstr(html, "\xe2\x80\xae"));
    assert_has(html, "&lt;script&gt;alert(1)");
    assert_true(g_utf8_validate(html, -1, NULL));
}

static void
says_plainly_why_there_is_nothing_to_show(void **state G_GNUC_UNUSED)
{
    g_autoptr(Catalogue) catalogue = catalogue_new("default");
    g_autofree char *html = NULL;

    catalogue->problem = g_strdup("the signature <expired>");
    html = render(catalogue, "http://h/");
    assert_has(html, "the signature &lt;expired&gt;");
    assert_null(strstr(html, "source add"));
}

static void
keeps_a_history_of_contents(void **state G_GNUC_UNUSED)
{
    static const char *const texts[] = {
        "# version: 1\n\n[a]\narch=x\nfile=1\nsize=1\nrevision=1\nchecksum[sha512]=" SHA512 "\n\n",
        "# version: 2\n\n[a]\narch=x\nfile=1\nsize=1\nrevision=1\nchecksum[sha512]=" SHA512
        "\n\n[b]\narch=x\nfile=2\nsize=1\n\n",
        "# version: 3\n\n[a]\narch=x\nfile=3\nsize=1\nrevision=2\n\n[a]\narch=y\nfile=4\nsize=1\n\n",
    };
    g_autoptr(Catalogue) catalogue = catalogue_new("default");
    const GPtrArray *history;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        index_free(catalogue->index);
        catalogue->index = parse(texts[i]);
        catalogue_add_version(catalogue, catalogue->index);
    }
    assert_int_equal(catalogue->versions->len, 3);
    history = catalogue_history(catalogue, g_ptr_array_index(catalogue->index->entries, 0));
    assert_int_equal(history->len, 2);
    assert_int_equal(((CatalogueRevision *)g_ptr_array_index(history, 0))->version, 1);
    assert_int_equal(((CatalogueRevision *)g_ptr_array_index(history, 1))->version, 3);
    assert_string_equal(((CatalogueRevision *)g_ptr_array_index(history, 1))->file, "3");
    history = catalogue_history(catalogue, g_ptr_array_index(catalogue->index->entries, 1));
    assert_int_equal(history->len, 1);
}

static void
a_url_is_made_of_plain_hosts_alone(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *own, *host;
        bool is_tls;
        const char *expected;
    } rows[] = {
        {NULL, "images.example.org:8080", false, "http://images.example.org:8080/lab/"},
        {NULL, "[::1]:80", true, "https://[::1]:80/lab/"},
        {NULL, "a'$(id)", false, "http://SERVER/lab/"},
        {NULL, "-oProxy", false, "http://SERVER/lab/"},
        {NULL, NULL, false, "http://SERVER/lab/"},
        {"https://front.example.org/x/", "back", false, "https://front.example.org/x/"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const ConfigSite site = {.prefix = (char *)"lab/", .url = (char *)rows[i].own};
        g_autofree char *url =
            page_url(&site, rows[i].is_tls, rows[i].host, rows[i].host != NULL ? strlen(rows[i].host) : 0);

        assert_string_equal(url, rows[i].expected);
    }
}

/* between: the base64 SHA-256 of what is between two marks, as a browser would compute it. */
static char *
digest_between(const char *html, const char *from, const char *to)
{
    const char *start = strstr(html, from) + strlen(from);
    uint8_t digest[DIGEST_SHA256_BYTES];

    digest_sha256(start, (size_t)(strstr(start, to) - start), digest);
    return g_base64_encode(digest, sizeof digest);
}

static void
the_policy_allows_the_own_style_and_script_and_nothing_else(void **state G_GNUC_UNUSED)
{
    g_autoptr(Catalogue) catalogue = catalogue_of("default", "[a]\narch=x\nfile=1\nsize=1\n\n");
    g_autofree char *html = render(catalogue, "http://h/");
    g_autofree char *style = digest_between(html, "<style>", "</style>");
    g_autofree char *script = digest_between(html, "<script>", "</script>");
    const char *policy = page_security_policy();

    assert_true(g_str_has_prefix(policy, "default-src 'none';"));
    assert_has(policy, style);
    assert_has(policy, script);
    assert_null(strstr(policy, "unsafe"));
    assert_null(strstr(html, " style="));
    assert_null(strstr(html, " onclick="));
}

static void
lists_repositories_with_links_to_each(void **state G_GNUC_UNUSED)
{
    ConfigSite one = {.name = (char *)"one", .prefix = (char *)"a/one/"},
               two = {.name = (char *)"two", .prefix = (char *)"b/"};
    g_autoptr(GPtrArray) sites = g_ptr_array_new();
    g_autoptr(Page) page = page_new();
    g_autofree char *html = NULL;

    g_ptr_array_add(sites, &one);
    g_ptr_array_add(sites, &two);
    page_render_list(page, sites);
    html = fill(page, "");
    assert_has(html, "<a href=\"./a/one/\">one</a>");
    assert_has(html, "<a href=\"./b/\">two</a>");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_whatever_a_text_holds),
        cmocka_unit_test(a_path_in_a_link_has_no_scheme_and_no_quote),
        cmocka_unit_test(shows_what_is_needed_to_choose_and_to_use_an_image),
        cmocka_unit_test(a_hostile_index_stays_text),
        cmocka_unit_test(says_plainly_why_there_is_nothing_to_show),
        cmocka_unit_test(keeps_a_history_of_contents),
        cmocka_unit_test(a_url_is_made_of_plain_hosts_alone),
        cmocka_unit_test(the_policy_allows_the_own_style_and_script_and_nothing_else),
        cmocka_unit_test(lists_repositories_with_links_to_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
