// SPDX-License-Identifier: Apache-2.0
/* Text into HTML; private to repod/. Pure. */
#pragma once

#include <glib.h>

/**
 * html_append: @text (nullable) as text of an element or of a quoted attribute, whatever bytes it holds. What is no UTF-8, a
 * control other than a line end or tab, or turns the direction of the text around it becomes U+FFFD.
 * @max_bytes: cut there, with a mark
 */
void html_append(GString *out, const char *text, size_t max_bytes);

/** html_append_path: a relative path as the value of a quoted attribute: "./" and each byte that is not plain in percent. */
void html_append_path(GString *out, const char *path);
