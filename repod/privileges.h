// SPDX-License-Identifier: Apache-2.0
/* Becoming somebody with fewer rights; private to repod/. */
#pragma once

#include "base/error.h"

/** privileges_check: whether @user exists. Errors: BASE_ERROR_USAGE */
bool privileges_check(const char *user, GError **error);

/**
 * privileges_drop: become @user with its groups, for good; NULL: stay who this is. Either way no program that is started from
 * here on gains rights. Who is not root already has to be @user.
 */
bool privileges_drop(const char *user, GError **error);
