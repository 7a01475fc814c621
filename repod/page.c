// SPDX-License-Identifier: Apache-2.0
/* What every page has: its frame, the style and script it may use, and the URL that is filled in for each client. */
#include "repod/page.h"

#include "base/digest.h"
#include "repod/page_assets.h"
#include "repod/page_parts.h"

#include <pthread.h>
#include <string.h>

#define MAX_HOST 255u
#define UNKNOWN_HOST "SERVER"

/* A picture of a stack of disks. */
#define ICON                                                                                                 \
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg "               \
    "fill='%23286090'%3E%3Cellipse cx='8' cy='3.5' rx='6' ry='2.5'/%3E%3Cpath d='M2 6c2 2.5 10 2.5 12 "      \
    "0v2.5c-2 2.5-10 2.5-12 0zM2 10.5c2 2.5 10 2.5 12 0v2c-2 2.5-10 2.5-12 0z'/%3E%3C/g%3E%3C/svg%3E"

Page *
page_new(void)
{
    Page *page = g_new0(Page, 1);

    page->html = g_string_new(NULL);
    page->url_offsets = g_array_new(FALSE, FALSE, sizeof(gsize));
    return page;
}

void
page_free(Page *page)
{
    if (page == NULL)
        return;
    if (page->html != NULL)
        g_string_free(page->html, TRUE);
    g_clear_pointer(&page->text, g_bytes_unref);
    g_array_unref(page->url_offsets);
    g_free(page);
}

void
page_add(Page *page, const char *html)
{
    g_string_append(page->html, html);
}

void
page_add_text(Page *page, const char *text)
{
    html_append(page->html, text, PAGE_MAX_TEXT);
}

void
page_add_url(Page *page)
{
    const gsize at = page->html->len;

    g_array_append_val(page->url_offsets, at);
}

void
page_begin(Page *page, const char *title)
{
    page_add(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    page_add_text(page, title);
    page_add(page, "</title>\n<link rel=\"icon\" href=\"" ICON "\">\n<style>");
    page_add(page, page_css);
    page_add(page, "</style>\n</head>\n<body>\n");
}

void
page_end(Page *page)
{
    page_add(page, "<script>");
    page_add(page, page_js);
    page_add(page, "</script>\n</body>\n</html>\n");
    page->text = g_string_free_to_bytes(g_steal_pointer(&page->html));
}

GBytes *
page_fill(const Page *page, const char *url, GBytes **out_rest)
{
    gsize size, from = 0;
    const char *text = g_bytes_get_data(page->text, &size);
    GString *filled = g_string_new(NULL);

    for (guint i = 0; i < page->url_offsets->len; i++) {
        const gsize at = g_array_index(page->url_offsets, gsize, i);

        g_string_append_len(filled, text + from, (gssize)(at - from));
        g_string_append(filled, url);
        from = at;
    }
    *out_rest = g_bytes_new_from_bytes(page->text, from, size - from);
    return g_string_free_to_bytes(filled);
}

/* It becomes part of a page and of commands to copy, so nothing but what a name, an address and a port are made of. */
static bool
is_plain_host(const char *host, size_t length)
{
    if (host == NULL || length == 0 || length > MAX_HOST)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!g_ascii_isalnum(host[i]) && (host[i] == '\0' || strchr("-.:[]", host[i]) == NULL))
            return false;
    return host[0] != '-';
}

char *
page_url(const ConfigSite *site, bool is_tls, const char *host, size_t host_length)
{
    if (site->url != NULL)
        return g_strdup(site->url);
    if (!is_plain_host(host, host_length)) {
        host = UNKNOWN_HOST;
        host_length = strlen(host);
    }
    return g_strdup_printf("%s://%.*s/%s", is_tls ? "https" : "http", (int)host_length, host, site->prefix);
}

static char *
digest_source(const char *text, size_t size)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    g_autofree char *base64 = NULL;

    digest_sha256(text, size, digest);
    base64 = g_base64_encode(digest, sizeof digest);
    return g_strdup_printf("'sha256-%s'", base64);
}

static pthread_once_t policy_once = PTHREAD_ONCE_INIT;
static char policy[512];

static void
make_policy(void)
{
    g_autofree char *style = digest_source(page_css, page_css_size);
    g_autofree char *script = digest_source(page_js, page_js_size);

    g_snprintf(policy, sizeof policy,
               "default-src 'none'; style-src %s; script-src %s; img-src data:; base-uri 'none'; form-action "
               "'none'; "
               "frame-ancestors 'none'",
               style, script);
}

const char *
page_security_policy(void)
{
    pthread_once(&policy_once, make_policy);
    return policy;
}
