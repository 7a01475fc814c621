// SPDX-License-Identifier: Apache-2.0
/* What virt-builder's --list and its relatives print, in the same words. Pure. */
#pragma once

#include "fetch/fetch.h"

typedef enum { BUILD_LIST_SHORT, BUILD_LIST_LONG, BUILD_LIST_JSON } BuildListFormat;

/** build_list_format_parse: "short", "long", "json"; else BASE_ERROR_USAGE. */
bool build_list_format_parse(const char *text, BuildListFormat *out_format, GError **error);

/**
 * build_list_print: (transfer full) the list of everything in @offers, or of @only alone, as the format has it. Of images with
 * one name and architecture the one that is meant is listed alone; hidden images are in JSON alone.
 * @only: (nullable)
 * @languages: of the notes, best first; NULL-terminated
 */
char *build_list_print(const FetchOffer *offers, unsigned n, const IndexEntry *only, BuildListFormat format,
                       const char *const *languages);

/** build_list_notes: (transfer full) the notes on @entry. */
char *build_list_notes(const IndexEntry *entry, const char *const *languages);

/** build_list_size: (transfer full) "2.0G", as virt-builder writes sizes. */
char *build_list_size(uint64_t bytes);

/** build_list_cached: (transfer full) the line of --print-cache. */
char *build_list_cached(const IndexEntry *entry, bool is_cached);
