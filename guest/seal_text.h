// SPDX-License-Identifier: Apache-2.0
/* Configuration files with what identified a guest taken out of them, as text. Pure; the texts come from guests. */
#pragma once

#include "base/error.h"

/** seal_text_drop_lines: (transfer full) @text without the lines that start, after blanks, with one of @starts. */
char *seal_text_drop_lines(const char *text, const char *const *starts);

/** SealAccount: a user that is to go. */
typedef struct {
    char *name;
    char *home; /* NULL: to stay, as it is, or holds, what somebody else needs */
} SealAccount;
void seal_account_free(SealAccount *account);

/**
 * seal_text_accounts: (element-type SealAccount) (transfer full) who goes of those in passwd(5) text: all whose uid login.defs(5)
 * gives to people, but for @keep; with @remove these alone.
 * @keep, @remove: (nullable) names
 * Errors: somebody in @remove is not there, or is no such user
 */
GPtrArray *seal_text_accounts(const char *passwd, const char *login_defs, const char *const *keep,
                              const char *const *remove, GError **error);

/** seal_text_drop_user: (transfer full) text of passwd(5), shadow(5), subuid(5) or the like without the lines of @user. */
char *seal_text_drop_user(const char *text, const char *user);

/**
 * seal_text_drop_member: (transfer full) text of group(5) or gshadow(5) in which nobody is called @user, nor a group that has
 * only that member.
 */
char *seal_text_drop_member(const char *text, const char *user);
