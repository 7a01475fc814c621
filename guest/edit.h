// SPDX-License-Identifier: Apache-2.0
/* What is understood of Perl where a guest has none: s/PATTERN/REPLACEMENT/[gi] and /PATTERN/d, line by line. Pure. */
#pragma once

#include "base/error.h"

#define EDIT_MAX_BYTES (16u << 20) /* of the new text: replacements can multiply it */

/**
 * edit_text: (transfer full) @text with @expression carried out on each line. Patterns are Perl's; any delimiter that is punctuation will do.
 * Errors: anything else in the expression is refused by name
 */
char *edit_text(const char *text, const char *expression, GError **error);
