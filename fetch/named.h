// SPDX-License-Identifier: Apache-2.0
/* Sources that nobody added: the command line names their URL and the key that signs them. */
#pragma once

#include "fetch/source.h"

/**
 * named_source: (transfer full) the source at @uri, signed by @fingerprint; NULL: not verified at all. It has a name made of
 * both, under which what is remembered of it is found again.
 * Errors: BASE_ERROR_USAGE; BASE_ERROR_NOT_FOUND where neither the source nor the user's GnuPG keyring has the key
 */
Source *named_source(const char *uri, const char *fingerprint, GError **error);

/** named_unsigned: (transfer full) @source, which it takes, as one of which nothing is verified: by another name, so that what
 * is remembered of the signed one stays as it is. */
Source *named_unsigned(Source *source);
