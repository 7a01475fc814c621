// SPDX-License-Identifier: Apache-2.0
/* Whether two texts say the same as far as a cleartext signature can tell. */
#include "index/index.h"

#include <string.h>

/* trim: @end without the blanks before it. */
static const char *
trim(const char *start, const char *end)
{
    while (end > start && g_ascii_isspace(end[-1]))
        end--;
    return end;
}

/* take_line: the next line up to @end, without blanks at its end; false where there is none. */
static bool
take_line(const char **at, const char *end, const char **out_line, size_t *out_length)
{
    const char *line = *at, *stop;

    if (line >= end)
        return false;
    stop = memchr(line, '\n', (size_t)(end - line));
    *at = stop != NULL ? stop + 1 : end;
    *out_line = line;
    *out_length = (size_t)(trim(line, stop != NULL ? stop : end) - line);
    return true;
}

bool
index_is_same_text(GBytes *first, GBytes *second)
{
    gsize sizes[2];
    const char *at[] = {g_bytes_get_data(first, &sizes[0]), g_bytes_get_data(second, &sizes[1])};
    const char *const ends[] = {trim(at[0], at[0] + sizes[0]), trim(at[1], at[1] + sizes[1])};

    for (;;) {
        const char *lines[] = {"", ""};
        size_t lengths[] = {0, 0};
        bool has_first = take_line(&at[0], ends[0], &lines[0], &lengths[0]);
        bool has_second = take_line(&at[1], ends[1], &lines[1], &lengths[1]);

        if (has_first != has_second || lengths[0] != lengths[1] ||
            memcmp(lines[0], lines[1], lengths[0]) != 0)
            return false;
        if (!has_first)
            return true;
    }
}
