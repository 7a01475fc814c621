// SPDX-License-Identifier: Apache-2.0
/* The pages for people: models in, HTML out; private to repod/. Pure. */
#pragma once

#include "repod/catalogue.h"

/* More images than old virt-builders can read are not on the page; it says so and names the API. */
#define PAGE_MAX_IMAGES INDEX_MAX_PRINT_ENTRIES
#define PAGE_MAX_TEXT 4000u /* bytes of a note or title */

/** Page: complete but for the repository's URL, which depends on how the client reached it. */
typedef struct {
    GString *html; /* while it is made; then NULL, and: */
    GBytes *text;
    GArray *url_offsets; /* (element-type gsize) rising */
} Page;
Page *page_new(void);
void page_free(Page *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Page, page_free)

/** page_render: @catalogue, or what is wrong with it. */
void page_render(Page *page, const Catalogue *catalogue);

/** page_render_list: of a server with several repositories and none at "/". @sites: (element-type ConfigSite) */
void page_render_list(Page *page, const GPtrArray *sites);

/**
 * page_fill: (transfer full) the start of a complete page with @url, which ends in a slash, in its places.
 * @out_rest: (transfer full) what follows, nearly all of it and the same memory for every client: a copy for each of thousands
 * that read slowly would be gigabytes
 */
GBytes *page_fill(const Page *page, const char *url, GBytes **out_rest);

/**
 * page_url: (transfer full) the URL of a repository as its client sees it, ending in a slash.
 * @host: as sent; anything but a plain host name or address and port is replaced by a word to be replaced by the reader
 */
char *page_url(const ConfigSite *site, bool is_tls, const char *host, size_t host_length);

/** page_security_policy: the Content-Security-Policy for these pages: their own style and script by digest, and nothing else. */
const char *page_security_policy(void);
