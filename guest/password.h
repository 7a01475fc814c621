// SPDX-License-Identifier: Apache-2.0
/* Password hashes as /etc/shadow holds them (the wall around libcrypt). */
#pragma once

#include "base/error.h"

#define PASSWORD_MAX_BYTES 511u /* CRYPT_MAX_PASSPHRASE_SIZE, crypt(3), with its NUL */

/** password_scheme: the crypt(5) prefix of the best scheme that this distribution's login understands. */
const char *password_scheme(const char *distro, int major);

/** password_hash: (transfer full) @password hashed under @scheme with a fresh random salt. NULL with @error set. */
char *password_hash(const char *password, const char *scheme, GError **error);

/** password_random: (transfer full) 16 characters that are not taken for one another: 92 bits. */
char *password_random(void);
