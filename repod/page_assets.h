// SPDX-License-Identifier: Apache-2.0
/* page.css and page.js as the build embeds them (cmake/embed.cmake); private to repod/. */
#pragma once

#include <stddef.h>

extern const char page_css[];
extern const size_t page_css_size;
extern const char page_js[];
extern const size_t page_js_size;
