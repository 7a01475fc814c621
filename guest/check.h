// SPDX-License-Identifier: Apache-2.0
/* What can be told of names, keys and paths before any appliance starts. Each error is BASE_ERROR_USAGE. Pure. */
#pragma once

#include "base/error.h"

/** check_hostname: as RFC 1123 has it, at most 64 bytes. */
bool check_hostname(const char *name, GError **error);

/** check_key: one line of an SSH public key, with or without options before it. */
bool check_key(const char *line, GError **error);

bool check_user(const char *name, GError **error);

/** check_password: one line that libcrypt can hash. */
bool check_password(const char *user, const char *password, GError **error);

/** check_guest_path: absolute. */
bool check_guest_path(const char *path, GError **error);

/** check_is_root: whether @path means "/", however it is written. No error is set. */
bool check_is_root(const char *path);

/** check_word: ASCII letters, digits and @others alone; @what: "a keyboard layout". */
bool check_word(const char *what, const char *word, const char *others, GError **error);

/** check_number: nothing but digits of @base, up to @max. */
bool check_number(const char *text, unsigned base, unsigned max, unsigned *out_number, GError **error);
