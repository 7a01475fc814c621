// SPDX-License-Identifier: Apache-2.0
/* Turns the target of a request into a relative path. Pure; what may be opened is decided again by the kernel
 * (RESOLVE_BENEATH), so that this is the first of two walls. */
#include "repod/http_parse.h"

#include <glib.h>
#include <string.h>

/* RFC 3986, 3.3: pchar without the percent sign, and the slash. */
static bool
is_path_char(unsigned char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

/* RFC 3986, 3.4. The query itself is ignored, but what is no URI is refused as a whole. */
static bool
is_query(const char *at, const char *end)
{
    for (; at < end; at++)
        if (!is_path_char((unsigned char)*at) && *at != '?' && *at != '%')
            return false;
    return true;
}

/* An encoded slash would make two components of one name, and a NUL would end the path early for the kernel.
 */
static int
decode_escape(const char *at, const char *end)
{
    int high, low, byte;

    if (end - at < 3)
        return -1;
    high = g_ascii_xdigit_value(at[1]);
    low = g_ascii_xdigit_value(at[2]);
    if (high < 0 || low < 0)
        return -1;
    byte = high << 4 | low;
    return byte < 0x20 || byte == 0x7f || byte == '/' ? -1 : byte;
}

/* A slash at the very end is a folder's: "" or "a/". */
static bool
is_servable(const char *path, bool *out_is_folder)
{
    *out_is_folder = false;
    for (const char *at = path;; at++) {
        if (*at == '\0') {
            *out_is_folder = true;
            return true;
        }
        if (*at == '/' || *at == '.')
            return false;
        at = strchr(at, '/');
        if (at == NULL)
            return true;
    }
}

int
http_path_decode(HttpText target, char *out_path, bool *out_is_folder)
{
    const char *at = target.at, *end = target.at + target.length;
    size_t n = 0;

    if (target.length == 0 || *at != '/')
        return 400;
    for (at++; at < end && *at != '?'; at++) {
        int byte = (unsigned char)*at;

        if (byte == '%')
            byte = decode_escape(at, end);
        else if (!is_path_char((unsigned char)byte))
            byte = -1;
        if (byte < 0)
            return 400;
        if (n == HTTP_MAX_PATH)
            return 414;
        if (*at == '%')
            at += 2;
        out_path[n++] = (char)byte;
    }
    if (at < end && !is_query(at + 1, end))
        return 400;
    out_path[n] = '\0';
    if (!is_servable(out_path, out_is_folder))
        out_path[0] = '\0';
    return 0;
}
