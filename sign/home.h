// SPDX-License-Identifier: Apache-2.0
/*
 * GnuPG homes: a temporary one for each verification, and the lasting one of a signing key. Their gpg.conf is
 * ours, so that neither the user's nor the system's habits decide what is signed or trusted.
 */
#pragma once

#include "base/fd.h"

/** Home: a temporary home, locked while its process lives; those of killed processes are removed by later
 * runs. */
typedef struct {
    char *path;
    Fd lock;
} Home;
#define HOME_NONE ((Home){NULL, -1})

/** sign_home_init_temporary: a fresh home for public keys, 0700, with a short path. */
bool sign_home_init_temporary(Home *home, GError **error);

/** sign_home_init_key: a fresh home in @keys_dir for a key in the making; sign_home_keep() gives it its name.
 */
bool sign_home_init_key(Home *home, const char *keys_dir, GError **error);

/** sign_home_keep: the home is complete: rename it to @path, durably, which must not exist. */
bool sign_home_keep(Home *home, const char *path, GError **error);

/** sign_home_clear: stop what GnuPG left running there and remove the home. */
void sign_home_clear(Home *home);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Home, sign_home_clear)

/** sign_home_check_path: whether an agent's socket fits into the home's path; GnuPG's own message would not
 * say so. */
bool sign_home_check_path(const char *path, GError **error);

/**
 * sign_home_write_signing_conf: gpg.conf of a home with a secret key.
 * @valid_days: expiry of new signatures; 0: never
 * @signer: (nullable) fingerprint of the (sub)key that signs
 */
bool sign_home_write_signing_conf(const char *path, unsigned valid_days, const char *signer, GError **error);

/** sign_home_stop_agent: end the gpg-agent that signing started: it would outlive us. Failing to is no error.
 */
void sign_home_stop_agent(const char *path);
