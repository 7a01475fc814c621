// SPDX-License-Identifier: Apache-2.0
/* What stock virt-builder makes of an index text. Private to index/. */
#pragma once

#include "index/index.h"

/**
 * index_stock_check: what virt-builder's old grammar (up to 1.55.5) or its reading of fields refuses, or takes
 * otherwise than meant, as warnings; at most INDEX_MAX_PROBLEMS. What index_parse() refuses too is not repeated.
 * @text: with its armour, as those clients parse it; no NUL
 */
void index_stock_check(const char *text, size_t size, const char *path, GPtrArray *findings);
