// SPDX-License-Identifier: Apache-2.0
/* The use of a secret key: one process at a time in its home, its passphrase at hand, no agent left behind. */
#pragma once

#include "base/fd.h"
#include "sign/gpg.h"
#include "sign/secret.h"

typedef struct {
    const char *home; /* borrowed */
    Gpg *gpg;
    char *passphrase; /* (nullable) */
    char *signer;     /* fingerprint */
    Fd lock;
} Session;
#define SESSION_NONE ((Session){.lock = -1})
void sign_session_close(Session *session);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Session, sign_session_close)

/** sign_session_open: @valid_days: expiry of signatures that are made; 0: never. @secret: (nullable) */
bool sign_session_open(Session *session, const char *home, unsigned valid_days, const SignSecret *secret,
                       GError **error);
