// SPDX-License-Identifier: Apache-2.0
/* What the makers of pages share; private to page*.c. */
#pragma once

#include "repod/html.h"
#include "repod/page.h"

void page_begin(Page *page, const char *title);
void page_end(Page *page);

/** page_add: HTML of our own. */
void page_add(Page *page, const char *html);

/** page_add_text: escaped. */
void page_add_text(Page *page, const char *text);

/** page_add_url: the repository's URL comes here. */
void page_add_url(Page *page);

/** page_add_image: one image of @catalogue. */
void page_add_image(Page *page, const Catalogue *catalogue, const IndexEntry *entry);

/** page_add_date, page_add_size: for people, with the exact value beside it. */
void page_add_date(Page *page, int64_t when);
void page_add_size(Page *page, uint64_t bytes);
