// SPDX-License-Identifier: Apache-2.0
/* Helpers that the index tests share. */
#pragma once

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
