// SPDX-License-Identifier: Apache-2.0
/* Escaping. Everything that came out of an index passes through here on its way to a page. */
#include "repod/html.h"

#include <stdbool.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"

/* Unicode's bidirectional controls: one of them in a title could make the rest of a line read backwards. */
static bool
is_shown(gunichar c)
{
    static const struct {
        gunichar first, last;
    } hidden[] = {
        {0x00, 0x08},     {0x0b, 0x1f},     {0x7f, 0x9f},       {0x61c, 0x61c},   {0x200b, 0x200f},
        {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},   {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
        {0xfdd0, 0xfdef}, {0xfffe, 0xffff}, {0x1fffe, 0x1ffff},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return false;
    return true;
}

static void
append_char(GString *out, gunichar c, const char *at, size_t length)
{
    switch (c) {
    case '&':
        g_string_append(out, "&amp;");
        break;
    case '<':
        g_string_append(out, "&lt;");
        break;
    case '>':
        g_string_append(out, "&gt;");
        break;
    case '"':
        g_string_append(out, "&quot;");
        break;
    case '\'':
        g_string_append(out, "&#39;");
        break;
    default:
        if (is_shown(c))
            g_string_append_len(out, at, (gssize)length);
        else
            g_string_append(out, REPLACEMENT);
    }
}

void
html_append(GString *out, const char *text, size_t max_bytes)
{
    const char *end = text != NULL ? text + strnlen(text, max_bytes) : NULL;

    for (const char *at = text; at < end;) {
        gunichar c = g_utf8_get_char_validated(at, end - at);
        size_t length;

        if (c == (gunichar)-2 && *end != '\0')
            break; /* the limit cut it */
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append(out, REPLACEMENT);
            at++;
            continue;
        }
        length = (size_t)(g_utf8_next_char(at) - at);
        append_char(out, c, at, length);
        at += length;
    }
    if (text != NULL && *end != '\0')
        g_string_append(out, ELLIPSIS);
}

void
html_append_path(GString *out, const char *path)
{
    g_string_append(out, "./");
    for (const unsigned char *at = (const unsigned char *)path; *at != '\0'; at++) {
        if (g_ascii_isalnum(*at) || strchr("-._~/", *at) != NULL)
            g_string_append_c(out, (char)*at);
        else
            g_string_append_printf(out, "%%%02X", *at);
    }
}
