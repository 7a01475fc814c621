// SPDX-License-Identifier: Apache-2.0
/* Reads "bytes=FIRST-LAST". Several ranges are answered with the whole file: multipart answers help nobody
 * who downloads images, and building them has cost other servers dearly. */
#include "repod/range.h"

#include <glib.h>

/* Digits from *@at on; numbers that do not fit become the largest, which means the same to every file. */
static bool
read_number(const char **at, const char *end, uint64_t *out_value)
{
    const char *start = *at;
    uint64_t value = 0;

    for (; *at < end && g_ascii_isdigit(**at); (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');

        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *out_value = value;
    return *at > start;
}

RangeKind
range_parse(HttpText text, uint64_t size, ByteRange *out_range)
{
    static const char unit[] = "bytes=";
    const size_t unit_length = sizeof unit - 1;
    const char *at, *end;
    uint64_t first, last;
    bool has_first, has_last;

    *out_range = (ByteRange){0, size};
    if (text.at == NULL || text.length <= unit_length || g_ascii_strncasecmp(text.at, unit, unit_length) != 0)
        return RANGE_WHOLE;
    at = text.at + unit_length;
    end = text.at + text.length;
    has_first = read_number(&at, end, &first);
    if (at == end || *at++ != '-')
        return RANGE_WHOLE;
    has_last = read_number(&at, end, &last);
    if (at != end || (!has_first && !has_last) || (has_first && has_last && first > last))
        return RANGE_WHOLE;

    if (!has_first) { /* the last bytes of the file */
        if (last > 0 && size == 0)
            return RANGE_WHOLE; /* satisfiable, but Content-Range cannot say "no bytes" */
        first = size - MIN(last, size);
        last = UINT64_MAX;
    } else if (!has_last) {
        last = UINT64_MAX;
    }
    if (first >= size) {
        *out_range = (ByteRange){0, 0};
        return RANGE_UNSATISFIABLE;
    }
    *out_range = (ByteRange){first, MIN(last, size - 1) - first + 1};
    return RANGE_PART;
}
