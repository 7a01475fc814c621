// SPDX-License-Identifier: Apache-2.0
/* The header comments of an index text: "# repo-id: ...", "# version: ...". */
#include "index/header.h"

#include <string.h>

bool
index_number_parse(const char *text, uint64_t *out_number)
{
    return g_ascii_isdigit(*text) && g_ascii_string_to_unsigned(text, 10, 0, INT64_MAX, out_number, NULL);
}

static int
digits(const char *text, int n)
{
    int number = 0;

    for (int i = 0; i < n; i++)
        number = number * 10 + g_ascii_digit_value(text[i]);
    return number;
}

/* 2026-11-22T19:00:00Z and nothing else. */
static bool
parse_time(const char *text, int64_t *out_time)
{
    static const char PATTERN[] = "dddd-dd-ddTdd:dd:ddZ";
    g_autoptr(GDateTime) time = NULL;

    for (size_t i = 0; i < sizeof(PATTERN); i++) /* with the final NUL */
        if (PATTERN[i] == 'd' ? !g_ascii_isdigit(text[i]) : text[i] != PATTERN[i])
            return false;
    time = g_date_time_new_utc(digits(text, 4), digits(text + 5, 2), digits(text + 8, 2),
                               digits(text + 11, 2), digits(text + 14, 2), digits(text + 17, 2));
    if (time == NULL || g_date_time_to_unix(time) <= 0)
        return false;
    *out_time = g_date_time_to_unix(time);
    return true;
}

static bool
parse_format(const char *value, Index *index G_GNUC_UNUSED)
{
    return strcmp(value, "1") == 0;
}

static bool
parse_repo_id(const char *value, Index *index)
{
    if (!g_uuid_string_is_valid(value))
        return false;
    index->repo_id = g_ascii_strdown(value, -1);
    return true;
}

static bool
parse_version(const char *value, Index *index)
{
    return index_number_parse(value, &index->version);
}

static bool
parse_created(const char *value, Index *index)
{
    return parse_time(value, &index->created);
}

static bool
parse_expires(const char *value, Index *index)
{
    return parse_time(value, &index->expires);
}

static const struct {
    const char *key; /* as it starts the comment */
    bool (*parse)(const char *value, Index *index);
    const char *complaint;
} HEADERS[] = {
    {"virt-depot:", parse_format, "written for a later version of virt-depot"},
    {"repo-id:", parse_repo_id, "repo-id is not a UUID"},
    {"version:", parse_version, "version is not a number"},
    {"created:", parse_created, "created is not a time like 2026-01-31T12:00:00Z"},
    {"expires:", parse_expires, "expires is not a time like 2026-01-31T12:00:00Z"},
};

const char *
index_header_read(const char *comment, Index *index, unsigned *seen)
{
    comment += strspn(comment, " \t");
    for (size_t i = 0; i < G_N_ELEMENTS(HEADERS); i++) {
        const char *value = comment + strlen(HEADERS[i].key);

        if (!g_str_has_prefix(comment, HEADERS[i].key))
            continue;
        if ((*seen & (1u << i)) != 0)
            return "this header comment appears again, so the line is skipped";
        *seen |= 1u << i;
        return HEADERS[i].parse(value + strspn(value, " \t"), index) ? NULL : HEADERS[i].complaint;
    }
    return NULL;
}
