// SPDX-License-Identifier: Apache-2.0
/* The text inside a clear-signed file, for those who ask no signature: RFC 9580, 7. */
#include "index/index.h"

#include <string.h>

#define START "-----BEGIN PGP SIGNED MESSAGE-----"
#define END "-----BEGIN PGP SIGNATURE-----"

/* The line at *@at without its end, and *@at after it; NULL at the end of the text. */
static const char *
next_line(const char **at, const char *end, size_t *out_size)
{
    const char *line = *at, *newline;

    if (line == end)
        return NULL;
    newline = memchr(line, '\n', (size_t)(end - line));
    *at = newline == NULL ? end : newline + 1;
    *out_size = (size_t)((newline == NULL ? end : newline) - line);
    if (*out_size > 0 && line[*out_size - 1] == '\r')
        --*out_size;
    return line;
}

static bool
is_line(const char *line, size_t size, const char *wanted)
{
    return size == strlen(wanted) && memcmp(line, wanted, size) == 0;
}

GBytes *
index_body(GBytes *file, unsigned *out_lines)
{
    gsize size;
    const char *at = g_bytes_get_data(file, &size), *end, *line;
    g_autoptr(GString) body = NULL;
    size_t length = 0;
    unsigned lines = 1;

    if (out_lines != NULL)
        *out_lines = 0;
    if (size == 0)
        return g_bytes_ref(file);
    end = at + size;
    line = next_line(&at, end, &length);
    if (!is_line(line, length, START))
        return g_bytes_ref(file);
    while ((line = next_line(&at, end, &length)) != NULL && length > 0)
        lines++;
    if (out_lines != NULL)
        *out_lines = lines + 1;
    body = g_string_sized_new((gsize)(end - at));
    while ((line = next_line(&at, end, &length)) != NULL && !is_line(line, length, END)) {
        size_t dash = length >= 2 && line[0] == '-' && line[1] == ' ' ? 2 : 0;

        g_string_append_len(body, line + dash, (gssize)(length - dash));
        g_string_append_c(body, '\n');
    }
    return g_string_free_to_bytes(g_steal_pointer(&body));
}
