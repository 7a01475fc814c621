// SPDX-License-Identifier: Apache-2.0
/* Helpers that the index tests share. */
#pragma once

#include "data_folder.h"
#include "index/index.h"

#include <string.h>

/* A valid entry's lines after its header. */
#define REST "arch=x86_64\nfile=a.xz\nsize=1048576\n"
#define SHA512_A                                                                                             \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA256_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static inline Index *
fixture_parse(const char *text, GPtrArray **out_problems)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

    return index_parse(bytes, "index", out_problems, NULL);
}

static inline const IndexEntry *
fixture_entry(const Index *index, guint i)
{
    return g_ptr_array_index(index->entries, i);
}

/* Whether RESULTS.txt says that virt-builder's @grammar, "old" or "new", takes @name: "NAME: OK" or, for inputs on
 * which the two differ, "     old: OK" and "     new: OK" below "NAME:". */
static inline bool
fixture_is_accepted(const char *results, const char *name, const char *grammar)
{
    g_autofree char *heading = g_strdup_printf("%s:", name), *wanted = g_strdup_printf("%s: OK", grammar);
    g_auto(GStrv) lines = g_strsplit(results, "\n", -1);

    for (char **line = lines; *line != NULL; line++) {
        if (!g_str_has_prefix(*line, heading))
            continue;
        if (g_str_has_prefix(*line + strlen(heading), " OK"))
            return true;
        for (line++; *line != NULL && g_ascii_isspace(**line); line++)
            if (strstr(*line, wanted) != NULL)
                return true;
        return false;
    }
    return false;
}
