// SPDX-License-Identifier: Apache-2.0
/* Passphrases: read from a file or a systemd credential, wiped when they go. */
#pragma once

#include "sign/sign.h"

/** Passphrase: (nullable) wiped and freed at scope end when declared g_auto(Passphrase). */
typedef char *Passphrase;
void sign_passphrase_wipe(Passphrase passphrase);
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(Passphrase, sign_passphrase_wipe, NULL)

/**
 * sign_secret_read: the passphrase that @secret names, else the one whose place @home remembers; *out_passphrase is
 * NULL where there is neither.
 */
bool sign_secret_read(const char *home, const SignSecret *secret, Passphrase *out_passphrase, GError **error);

/** sign_secret_remember: write into @home where its passphrase comes from. */
bool sign_secret_remember(const char *home, const SignSecret *secret, GError **error);

/** sign_secret_copy: let @home remember what @before remembers. */
bool sign_secret_copy(const char *before, const char *home, GError **error);
