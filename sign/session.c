// SPDX-License-Identifier: Apache-2.0
/* Signing, and what every use of a secret key shares. */
#include "sign/session.h"

#include "base/file.h"
#include "sign/home.h"

#define LOCK_NAME "virt-depot.lock"

void
sign_session_close(Session *session)
{
    g_clear_pointer(&session->gpg, sign_gpg_free);
    if (session->home !=
        NULL) /* whatever the outcome: the agent would outlive us, and remember passphrases */
        sign_home_stop_agent(session->home);
    sign_passphrase_wipe(g_steal_pointer(&session->passphrase));
    g_clear_pointer(&session->signer, g_free);
    if (session->lock >= 0)
        fd_close(fd_steal(&session->lock));
}

bool
sign_session_open(Session *session, const char *home, unsigned valid_days, const SignSecret *secret,
                  GError **error)
{
    g_autofree char *lock_path = g_build_filename(home, LOCK_NAME, NULL);

    *session = SESSION_NONE;
    /* Also makes sure that the home holds one key and no other. */
    session->signer = sign_key_signer(home, error);
    if (session->signer == NULL || !sign_secret_read(home, secret, &session->passphrase, error))
        return false;
    /* One at a time: the agent that we end must not be the one that somebody else signs with. */
    session->lock = file_lock(lock_path, true, error);
    if (session->lock < 0 || !sign_home_write_signing_conf(home, valid_days, session->signer, error))
        return false;
    session->gpg = sign_gpg_open(home, error);
    if (session->gpg == NULL)
        return false;
    if (session->passphrase != NULL)
        sign_gpg_set_passphrase(session->gpg, session->passphrase);
    session->home = home;
    return true;
}

bool
sign_index(const char *home, GBytes *text, unsigned valid_days, GBytes **out_clear, GBytes **out_detached,
           GError **error)
{
    g_auto(Session) session = SESSION_NONE;
    g_autoptr(GBytes) clear = NULL, detached = NULL;

    g_assert(valid_days >= 1);
    if (!sign_session_open(&session, home, valid_days, NULL, error))
        return false;
    clear = sign_gpg_sign(session.gpg, text, true, session.signer, error);
    detached = clear != NULL ? sign_gpg_sign(session.gpg, text, false, session.signer, error) : NULL;
    if (detached == NULL)
        return false;
    *out_clear = g_steal_pointer(&clear);
    *out_detached = g_steal_pointer(&detached);
    return true;
}

GBytes *
sign_detached(const char *home, GBytes *text, const SignSecret *secret, GError **error)
{
    g_auto(Session) session = SESSION_NONE;

    if (!sign_session_open(&session, home, 0, secret, error))
        return NULL;
    return sign_gpg_sign(session.gpg, text, false, session.signer, error);
}
