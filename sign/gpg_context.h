// SPDX-License-Identifier: Apache-2.0
/* What the files of the wall around gpgme share: the context and its scoped owners. For them only. */
#pragma once

#include "sign/gpg.h"

#include <gpgme.h>

struct Gpg {
    gpgme_ctx_t context;
    const char *passphrase; /* borrowed; NULL: none */
};

typedef gpgme_data_t Data;
typedef gpgme_key_t Key;

static inline void
data_release(Data data)
{
    if (data != NULL)
        gpgme_data_release(data);
}
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(Data, data_release, NULL)

static inline void
key_unref(Key key)
{
    if (key != NULL)
        gpgme_key_unref(key);
}
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(Key, key_unref, NULL)

/** sign_gpg_fail: gpgme's @code as an error: "gpg: @what: ...". Returns false. */
bool sign_gpg_fail(GError **error, gpgme_error_t code, const char *what);
