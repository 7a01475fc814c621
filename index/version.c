// SPDX-License-Identifier: Apache-2.0
/* Ordering version strings and turning them into revisions. */
#include "index/version.h"

#include <glib.h>
#include <string.h>

#define MAX_GROUPS 4u
#define GROUP_LIMIT 9999u

typedef struct {
    const char *digits; /* without leading zeros */
    size_t length, written_length;
} Run;

static Run
take_run(const char **at)
{
    const char *start = *at;
    Run run;

    *at += strspn(start, "0123456789");
    run.written_length = (size_t)(*at - start);
    run.digits = start + strspn(start, "0");
    run.length = run.digits > *at ? 0 : (size_t)(*at - run.digits);
    return run;
}

int
index_version_compare(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        if (g_ascii_isdigit(*a) && g_ascii_isdigit(*b)) {
            Run first = take_run(&a), second = take_run(&b);
            int order;

            if (first.length != second.length)
                return first.length < second.length ? -1 : 1;
            order = memcmp(first.digits, second.digits, first.length);
            if (order != 0)
                return order;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return (*a != '\0') - (*b != '\0');
}

/* The first @n digits of @run as written, as if it had as many. */
static uint64_t
leading(const char *digits, size_t length, size_t n)
{
    uint64_t number = 0;

    for (size_t i = 0; i < n; i++)
        number = number * 10 + (i < length ? (uint64_t)(digits[i] - '0') : 0);
    return number;
}

static uint64_t
value(const Run *run)
{
    return run->length > 4 ? GROUP_LIMIT : leading(run->digits, run->length, run->length);
}

uint64_t
index_version_revision(const char *version)
{
    Run runs[MAX_GROUPS] = {0};
    unsigned n = 0;
    uint64_t number = 0;

    for (const char *at = version; *at != '\0' && n < MAX_GROUPS;) {
        if (g_ascii_isdigit(*at))
            runs[n++] = take_run(&at);
        else
            at++;
    }
    if (n > 0 && runs[0].written_length > 8) /* date and time in one: to the minute */
        return MAX(1, leading(runs[0].digits, runs[0].length, 12));
    if (n > 0 && runs[0].written_length == 8) {
        number = leading(runs[0].digits, runs[0].length, runs[0].length) * 10000;
        if (n > 2 && runs[1].written_length == 2 && runs[2].written_length == 2)
            return MAX(1, number + value(&runs[1]) * 100 + value(&runs[2]));
        return MAX(1, number + value(&runs[1]));
    }
    for (unsigned i = 0; i < MAX_GROUPS; i++)
        number = number * 10000 + value(&runs[i]);
    return MAX(1, number);
}
