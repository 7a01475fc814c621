// SPDX-License-Identifier: Apache-2.0
/* Signing keys, each alone in a GnuPG home of its own: making, showing, exporting, rotating and revoking them. */
#include "base/file.h"
#include "sign/home.h"
#include "sign/session.h"

#include <string.h>

#define SIGNER_NAME "signer" /* the subkey that signs; not there: the primary key */
#define MAX_SIGNER 64u

static bool
create_in(Session *session, const char *home, const SignSecret *secret, const char *before, GError **error)
{
    if (!sign_home_write_signing_conf(home, 0, NULL, error) ||
        (before != NULL && !sign_secret_copy(before, home, error)) ||
        !sign_secret_read(home, secret, &session->passphrase, error) ||
        (sign_secret_is_given(secret) && !sign_secret_remember(home, secret, error)))
        return false;
    session->gpg = sign_gpg_open(home, error);
    if (session->gpg == NULL)
        return false;
    if (session->passphrase != NULL)
        sign_gpg_set_passphrase(session->gpg, session->passphrase);
    session->home = home;
    return true;
}

/* create: with @secret's passphrase, or the one that protects the key in @before (nullable). */
static char *
create(const char *home, SignKeyKind kind, const char *user_id, unsigned valid_days, const SignSecret *secret,
       const char *before, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(home);
    g_autofree char *fingerprint = NULL;
    g_auto(Home) temporary = HOME_NONE;

    if (!sign_home_check_path(home, error))
        return NULL;
    if (g_file_test(home, G_FILE_TEST_EXISTS)) {
        error_set_code(error, BASE_ERROR_EXISTS, "%s: exists already", home);
        return NULL;
    }
    if (!file_make_dirs(parent, 0700, error) || !sign_home_init_key(&temporary, parent, error))
        return NULL;
    /* Under a name of its own until it is complete: a killed run leaves no half-made key at @home. */
    {
        g_auto(Session) session = SESSION_NONE;

        if (!create_in(&session, temporary.path, secret, before, error))
            return NULL;
        fingerprint = sign_gpg_create(session.gpg, kind, user_id, valid_days, error);
    }
    if (fingerprint == NULL || !sign_home_keep(&temporary, home, error))
        return NULL;
    return g_steal_pointer(&fingerprint);
}

char *
sign_key_create(const char *home, SignKeyKind kind, const char *user_id, unsigned valid_days,
                const SignSecret *secret, GError **error)
{
    return create(home, kind, user_id, valid_days, secret, NULL, error);
}

char *
sign_key_succeed(const char *before, const char *home, SignKeyKind kind, const char *user_id, GError **error)
{
    return create(home, kind, user_id, 0, NULL, before, error);
}

/* has_secret: whether the agent, once started, would find anything. */
static bool
has_secret(const char *home)
{
    g_autofree char *path = g_build_filename(home, "private-keys-v1.d", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    return dir != NULL && g_dir_read_name(dir) != NULL;
}

SignKey *
sign_key_read(const char *home, GError **error)
{
    g_autoptr(Gpg) gpg = NULL;
    g_autoptr(GPtrArray) list = NULL;

    if (!sign_home_check_path(home, error))
        return NULL;
    if (!g_file_test(home, G_FILE_TEST_IS_DIR) || !has_secret(home)) {
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there is no signing key", home);
        return NULL;
    }
    /* The public list: the secret one would start an agent, and the home holds nothing but our own key. */
    gpg = sign_gpg_open(home, error);
    list = gpg != NULL ? sign_gpg_list(gpg, error) : NULL;
    if (list == NULL)
        return NULL;
    if (list->len != 1) {
        error_set(error, "%s: holds %u keys where exactly one is expected", home, list->len);
        return NULL;
    }
    return g_ptr_array_steal_index(list, 0);
}

char *
sign_key_fingerprint(const char *home, GError **error)
{
    g_autoptr(SignKey) key = sign_key_read(home, error);

    return key != NULL ? g_strdup(sign_key_primary(key)->fingerprint) : NULL;
}

/* read_signer: *out_signer is NULL where none was chosen. */
static bool
read_signer(const char *home, char **out_signer, GError **error)
{
    g_autofree char *path = g_build_filename(home, SIGNER_NAME, NULL), *text = NULL;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = file_read(path, MAX_SIGNER, &problem);

    *out_signer = NULL;
    if (bytes == NULL && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    *out_signer = sign_normal_fingerprint(g_strstrip(text), error);
    return *out_signer != NULL || (g_prefix_error(error, "%s: ", path), false);
}

static char *
choose_signer(const char *home, const SignKey *key, GError **error)
{
    g_autofree char *signer = NULL;

    if (!read_signer(home, &signer, error))
        return NULL;
    if (signer == NULL)
        return g_strdup(sign_key_primary(key)->fingerprint);
    if (sign_key_subkey(key, signer) == NULL) {
        error_set(error, "%s: the subkey %s that is to sign is not there", home, signer);
        return NULL;
    }
    return g_steal_pointer(&signer);
}

char *
sign_key_signer(const char *home, GError **error)
{
    g_autoptr(SignKey) key = sign_key_read(home, error);

    return key != NULL ? choose_signer(home, key, error) : NULL;
}

/* find_next: (nullable) a good signing subkey that stands after @signer: it was prepared and never used. */
static const char *
find_next(const SignKey *key, const char *signer)
{
    bool is_after = false;

    for (guint i = 0; i < key->subkeys->len; i++) {
        const SignSubkey *subkey = g_ptr_array_index(key->subkeys, i);

        if (is_after && subkey->can_sign && !subkey->is_revoked && !subkey->is_expired)
            return subkey->fingerprint;
        is_after = is_after || strcmp(subkey->fingerprint, signer) == 0;
    }
    return NULL;
}

char *
sign_key_prepare(const char *home, unsigned valid_days, GError **error)
{
    g_autoptr(SignKey) key = sign_key_read(home, error);
    g_autofree char *signer = key != NULL ? choose_signer(home, key, error) : NULL;
    g_auto(Session) session = SESSION_NONE;
    const char *next;
    SignKeyKind kind;

    if (signer == NULL)
        return NULL;
    next = find_next(key, signer);
    if (next != NULL)
        return g_strdup(next);
    kind = g_str_has_prefix(sign_key_primary(key)->algorithm, "rsa") ? SIGN_KEY_RSA3072 : SIGN_KEY_ED25519;
    if (!sign_session_open(&session, home, 0, NULL, error))
        return NULL;
    return sign_gpg_add_subkey(session.gpg, kind, sign_key_primary(key)->fingerprint, valid_days, error);
}

bool
sign_key_use(const char *home, const char *fingerprint, GError **error)
{
    g_autofree char *path = g_build_filename(home, SIGNER_NAME, NULL);
    g_autofree char *text = g_strconcat(fingerprint, "\n", NULL);
    g_autoptr(SignKey) key = sign_key_read(home, error);

    if (key == NULL)
        return false;
    if (sign_key_subkey(key, fingerprint) == NULL)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: has no subkey %s", home, fingerprint);
    return file_write_atomic(path, text, strlen(text), 0600, error);
}

bool
sign_key_revoke(const char *home, const char *fingerprint, GError **error)
{
    g_autoptr(SignKey) key = sign_key_read(home, error);
    g_auto(Session) session = SESSION_NONE;
    guint number = 0;

    if (key == NULL)
        return false;
    while (number < key->subkeys->len &&
           strcmp(((const SignSubkey *)g_ptr_array_index(key->subkeys, number))->fingerprint, fingerprint) !=
               0)
        number++;
    if (number == key->subkeys->len)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: has no (sub)key %s", home, fingerprint);
    return sign_session_open(&session, home, 0, NULL, error) &&
           sign_gpg_revoke(session.gpg, sign_key_primary(key)->fingerprint, number, error);
}

GBytes *
sign_key_export(const char *home, GError **error)
{
    g_autoptr(Gpg) gpg = sign_gpg_open(home, error);
    g_autoptr(GBytes) keys = NULL;

    if (gpg == NULL)
        return NULL;
    keys = sign_gpg_export(gpg, NULL, error);
    if (keys != NULL && g_bytes_get_size(keys) == 0) {
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there is no public key", home);
        return NULL;
    }
    return g_steal_pointer(&keys);
}
