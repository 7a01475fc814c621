// SPDX-License-Identifier: Apache-2.0
/* What the key and trust verbs share: opening, showing, publishing again. */
#include "publish/keys.h"

#include "publish/show.h"

#include <string.h>

bool
keys_is_home(const char *path)
{
    g_autofree char *secret = g_build_filename(path, "private-keys-v1.d", NULL);
    g_autofree char *public = g_build_filename(path, "pubring.kbx", NULL);

    return g_file_test(secret, G_FILE_TEST_IS_DIR) || g_file_test(public, G_FILE_TEST_IS_REGULAR);
}

bool
keys_parse_type(const char *text, SignKeyKind *out_kind, GError **error)
{
    if (text == NULL || strcmp(text, "ed25519") == 0)
        *out_kind = SIGN_KEY_ED25519;
    else if (strcmp(text, "rsa3072") == 0 || strcmp(text, "rsa") == 0)
        *out_kind = SIGN_KEY_RSA3072;
    else
        return error_set_code(error, BASE_ERROR_USAGE, "--type: '%s' is neither ed25519 nor rsa3072", text);
    return true;
}

bool
keys_check_secret(const SignSecret *secret, GError **error)
{
    if (secret->file != NULL && secret->credential != NULL)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--passphrase-file and --credential exclude each other");
    return true;
}

PublishRepo *
keys_open(const char *location, GError **error)
{
    g_autoptr(PublishRepo) repo = publish_repo_open(location, error);

    return repo != NULL && show_lock(repo, error) ? g_steal_pointer(&repo) : NULL;
}

bool
keys_republish(PublishRepo *repo, Index *index, GError **error)
{
    return publish_repo_write(repo, index, publish_repo_valid_days(index), error);
}

static bool
is_after(const SignKey *key, const SignSubkey *subkey, const char *signer)
{
    guint at = 0, signs = 0;

    for (guint i = 0; i < key->subkeys->len; i++) {
        const SignSubkey *each = g_ptr_array_index(key->subkeys, i);

        at = each == subkey ? i : at;
        signs = strcmp(each->fingerprint, signer) == 0 ? i : signs;
    }
    return at > signs;
}

char *
keys_status(const SignKey *key, const SignSubkey *subkey, const char *signer)
{
    if (subkey->is_revoked)
        return g_strdup("revoked");
    if (subkey->is_expired)
        return g_strdup("expired");
    if (signer == NULL)
        return g_strdup(subkey->can_sign ? "can sign" : "");
    if (strcmp(subkey->fingerprint, signer) == 0)
        return g_strdup("signs");
    return g_strdup(is_after(key, subkey, signer) && subkey->can_sign ? "next" : "");
}

Json *
keys_json(const SignKey *key, const char *signer)
{
    Json *json = json_new_object(), *subkeys = json_new_array();

    json_set_text(json, "fingerprint", sign_key_primary(key)->fingerprint);
    json_set_text(json, "user_id", key->user_id);
    for (guint i = 0; i < key->subkeys->len; i++) {
        const SignSubkey *subkey = g_ptr_array_index(key->subkeys, i);
        g_autofree char *status = keys_status(key, subkey, signer);
        Json *each = json_new_object();

        json_set_text(each, "fingerprint", subkey->fingerprint);
        json_set_text(each, "algorithm", subkey->algorithm);
        json_set_number(each, "created", subkey->created);
        json_set_number(each, "expires", subkey->expires);
        json_set_text(each, "status", status);
        json_append(subkeys, each);
    }
    json_set(json, "subkeys", subkeys);
    return json;
}
