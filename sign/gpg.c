// SPDX-License-Identifier: Apache-2.0
/*
 * The wall around gpgme: contexts, keys, signing and the raw result of a verification. Every operation forks
 * gpg, and keys come from the context's home alone, never from the user's own.
 */
#include "sign/gpg_context.h"

#include <pthread.h>
#include <string.h>

#define GPG_PROGRAM "/usr/bin/gpg" /* by path: what PATH finds first must not verify signatures */
#define GPG_MAX_KEYS 1000u         /* SIGN_MAX_KEYS of minimal keys are fewer than this */
#define STRONG_BITS 2048u          /* NIST SP 800-57: below this RSA and DSA are not good enough since 2014 */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
initialise(void)
{
    gpgme_check_version(NULL); /* must come first in the process, and only once where there are threads */
}

bool
sign_gpg_fail(GError **error, gpgme_error_t code, const char *what)
{
    const char *hint = "";
    char text[256];

    gpgme_strerror_r(code, text, sizeof text);
    if (gpgme_err_code(code) == GPG_ERR_NO_PIN_ENTRY)
        hint = "; the key has a passphrase: say which file or credential holds it";
    else if (gpgme_err_code(code) == GPG_ERR_BAD_PASSPHRASE)
        hint = ": the file or credential holds another one than the key has";
    else if (gpgme_err_code(code) == GPG_ERR_UNUSABLE_SECKEY)
        hint = ": it has expired or was revoked ('virt-depot key show' tells)";
    return error_set(error, "gpg: %s: %s%s", what, text, hint);
}

static bool
data_from_bytes(GBytes *bytes, Data *out_data, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    /* gpgme refuses NULL, which is what an empty GBytes may give. */
    gpgme_error_t code = gpgme_data_new_from_mem(out_data, data != NULL ? data : "", size, 0);

    return code == 0 || sign_gpg_fail(error, code, "cannot hold data");
}

static bool
data_new(Data *out_data, GError **error)
{
    gpgme_error_t code = gpgme_data_new(out_data);

    return code == 0 || sign_gpg_fail(error, code, "cannot hold data");
}

static GBytes *
data_to_bytes(Data *data)
{
    size_t size;
    char *memory = gpgme_data_release_and_get_mem(*data, &size);
    GBytes *bytes = g_bytes_new(memory, size);

    *data = NULL;
    gpgme_free(memory);
    return bytes;
}

void
sign_gpg_signature_free(GpgSignature *signature)
{
    if (signature == NULL)
        return;
    g_free(signature->status_text);
    g_free(signature->key);
    g_free(signature->primary);
    g_free(signature->digest);
    g_free(signature);
}

Gpg *
sign_gpg_open(const char *home, GError **error)
{
    g_autoptr(Gpg) gpg = g_new0(Gpg, 1);
    gpgme_error_t code;

    pthread_once(&once, initialise);
    code = gpgme_new(&gpg->context);
    if (code == 0)
        code = gpgme_ctx_set_engine_info(gpg->context, GPGME_PROTOCOL_OpenPGP, GPG_PROGRAM, home);
    if (code != 0) {
        sign_gpg_fail(error, code, GPG_PROGRAM " cannot be used");
        return NULL;
    }
    gpgme_set_offline(gpg->context, 1);
    gpgme_set_armor(gpg->context, 1);
    /* A passphrase prompt would hang an unattended run: a protected key is an error instead. */
    gpgme_set_pinentry_mode(gpg->context, GPGME_PINENTRY_MODE_ERROR);
    return g_steal_pointer(&gpg);
}

/* A second question means that the answer was wrong: another try would give the same. */
static gpgme_error_t
give_passphrase(void *hook, const char *uid_hint G_GNUC_UNUSED, const char *info G_GNUC_UNUSED, int was_bad,
                int fd)
{
    const Gpg *gpg = hook;

    if (was_bad)
        return gpgme_error(GPG_ERR_BAD_PASSPHRASE);
    if (gpgme_io_writen(fd, gpg->passphrase, strlen(gpg->passphrase)) != 0 ||
        gpgme_io_writen(fd, "\n", 1) != 0)
        return gpgme_error_from_syserror();
    return 0;
}

void
sign_gpg_set_passphrase(Gpg *gpg, const char *passphrase)
{
    gpg->passphrase = passphrase;
    gpgme_set_pinentry_mode(gpg->context, GPGME_PINENTRY_MODE_LOOPBACK);
    gpgme_set_passphrase_cb(gpg->context, give_passphrase, gpg);
}

void
sign_gpg_free(Gpg *gpg)
{
    if (gpg == NULL)
        return;
    if (gpg->context != NULL)
        gpgme_release(gpg->context);
    g_free(gpg);
}

bool
sign_gpg_import(Gpg *gpg, GBytes *keys, GError **error)
{
    g_auto(Data) data = NULL;
    gpgme_error_t code;

    if (!data_from_bytes(keys, &data, error))
        return false;
    code = gpgme_op_import(gpg->context, data);
    return code == 0 || sign_gpg_fail(error, code, "cannot read the public keys");
}

static unsigned
weak_bits(gpgme_subkey_t key)
{
    bool has_bits = key->pubkey_algo == GPGME_PK_RSA || key->pubkey_algo == GPGME_PK_RSA_S ||
                    key->pubkey_algo == GPGME_PK_DSA;

    return has_bits && key->length < STRONG_BITS ? key->length : 0;
}

static void
subkey_free(SignSubkey *subkey)
{
    g_free(subkey->fingerprint);
    g_free(subkey->algorithm);
    g_free(subkey);
}

static SignSubkey *
subkey_new(gpgme_subkey_t from)
{
    SignSubkey *subkey = g_new0(SignSubkey, 1);
    char *algorithm = gpgme_pubkey_algo_string(from);

    subkey->fingerprint = g_ascii_strup(from->fpr != NULL ? from->fpr : "", -1);
    subkey->algorithm = g_strdup(algorithm != NULL ? algorithm : "unknown");
    subkey->created = (int64_t)from->timestamp;
    subkey->expires = (int64_t)from->expires;
    subkey->can_sign = from->can_sign;
    subkey->is_revoked = from->revoked;
    subkey->is_expired = from->expired;
    subkey->weak_bits = weak_bits(from);
    gpgme_free(algorithm);
    return subkey;
}

static SignKey *
key_new(gpgme_key_t from)
{
    SignKey *key = g_new0(SignKey, 1);

    key->user_id = g_strdup(from->uids != NULL && from->uids->uid != NULL ? from->uids->uid : "");
    key->subkeys = g_ptr_array_new_with_free_func((GDestroyNotify)subkey_free);
    for (gpgme_subkey_t subkey = from->subkeys; subkey != NULL; subkey = subkey->next)
        g_ptr_array_add(key->subkeys, subkey_new(subkey));
    return key;
}

void
sign_key_free(SignKey *key)
{
    if (key == NULL)
        return;
    g_free(key->user_id);
    g_ptr_array_unref(key->subkeys);
    g_free(key);
}

const SignSubkey *
sign_key_primary(const SignKey *key)
{
    return g_ptr_array_index(key->subkeys, 0);
}

const SignSubkey *
sign_key_subkey(const SignKey *key, const char *fingerprint)
{
    for (guint i = 0; i < key->subkeys->len; i++) {
        const SignSubkey *subkey = g_ptr_array_index(key->subkeys, i);

        if (strcmp(subkey->fingerprint, fingerprint) == 0)
            return subkey;
    }
    return NULL;
}

GPtrArray *
sign_gpg_list(Gpg *gpg, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sign_key_free);
    gpgme_error_t code = gpgme_op_keylist_start(gpg->context, NULL, 0);

    while (code == 0) {
        g_auto(Key) key = NULL;

        code = gpgme_op_keylist_next(gpg->context, &key);
        if (code == 0 && key->fpr != NULL && key->subkeys != NULL)
            g_ptr_array_add(list, key_new(key));
        if (list->len > GPG_MAX_KEYS) {
            gpgme_op_keylist_end(gpg->context);
            error_set(error, "gpg: more than %u keys where a handful was expected", GPG_MAX_KEYS);
            return NULL;
        }
    }
    if (gpgme_err_code(code) != GPG_ERR_EOF) {
        sign_gpg_fail(error, code, "cannot list the keys");
        return NULL;
    }
    return g_steal_pointer(&list);
}

bool
sign_gpg_delete(Gpg *gpg, const char *fingerprint, GError **error)
{
    g_auto(Key) key = NULL;
    gpgme_error_t code = gpgme_get_key(gpg->context, fingerprint, &key, 0);

    if (code == 0)
        code = gpgme_op_delete_ext(gpg->context, key, GPGME_DELETE_FORCE);
    return code == 0 || sign_gpg_fail(error, code, "cannot drop a key that is not pinned");
}

GBytes *
sign_gpg_export(Gpg *gpg, const char *fingerprint, GError **error)
{
    g_auto(Data) data = NULL;
    gpgme_error_t code;

    if (!data_new(&data, error))
        return NULL;
    code = gpgme_op_export(gpg->context, fingerprint, GPGME_EXPORT_MODE_MINIMAL, data);
    if (code != 0) {
        sign_gpg_fail(error, code, "cannot export the public key");
        return NULL;
    }
    return data_to_bytes(&data);
}

GBytes *
sign_gpg_sign(Gpg *gpg, GBytes *text, bool is_clear, const char *signer, GError **error)
{
    g_auto(Data) in = NULL;
    g_auto(Data) out = NULL;
    gpgme_sign_result_t result;
    gpgme_error_t code;

    if (!data_from_bytes(text, &in, error) || !data_new(&out, error))
        return NULL;
    gpgme_set_textmode(gpg->context, 0);
    code = gpgme_op_sign(gpg->context, in, out, is_clear ? GPGME_SIG_MODE_CLEAR : GPGME_SIG_MODE_DETACH);
    if (code != 0) {
        sign_gpg_fail(error, code, "cannot sign");
        return NULL;
    }
    result = gpgme_op_sign_result(gpg->context);
    if (result == NULL || result->signatures == NULL || result->signatures->next != NULL ||
        result->signatures->hash_algo != GPGME_MD_SHA512) {
        error_set(error, "gpg: cannot sign: the result is not exactly one SHA-512 signature");
        return NULL;
    }
    /* gpgme 1.18 cannot ask for a subkey, so gpg.conf does; whether that worked is seen here. */
    if (result->signatures->fpr == NULL || g_ascii_strcasecmp(result->signatures->fpr, signer) != 0) {
        error_set(error, "gpg: cannot sign: %s signed where %s was to", result->signatures->fpr, signer);
        return NULL;
    }
    return data_to_bytes(&out);
}

static GpgStatus
status_from_code(gpgme_error_t code)
{
    switch (gpgme_err_code(code)) {
    case GPG_ERR_NO_ERROR:
        return GPG_SIGNATURE_GOOD;
    case GPG_ERR_BAD_SIGNATURE:
        return GPG_SIGNATURE_BAD;
    case GPG_ERR_SIG_EXPIRED:
        return GPG_SIGNATURE_EXPIRED;
    case GPG_ERR_KEY_EXPIRED:
        return GPG_SIGNATURE_KEY_EXPIRED;
    case GPG_ERR_CERT_REVOKED:
        return GPG_SIGNATURE_KEY_REVOKED;
    case GPG_ERR_NO_PUBKEY:
        return GPG_SIGNATURE_KEY_UNKNOWN;
    default:
        return GPG_SIGNATURE_ERROR;
    }
}

static bool
is_strong_digest(gpgme_hash_algo_t digest)
{
    return digest == GPGME_MD_SHA256 || digest == GPGME_MD_SHA384 || digest == GPGME_MD_SHA512;
}

static int64_t
earlier(int64_t a, int64_t b) /* 0: never */
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* describe_key: the primary key behind the signature, and what is wrong with it or the subkey. A weak primary
 * matters even where a strong subkey signed: whoever breaks it can bind a subkey of his own. */
static void
describe_key(Gpg *gpg, GpgSignature *signature)
{
    g_auto(Key) key = NULL;

    if (gpgme_get_key(gpg->context, signature->key, &key, 0) != 0 || key->fpr == NULL)
        return;
    signature->primary = g_ascii_strup(key->fpr, -1);
    for (gpgme_subkey_t subkey = key->subkeys; subkey != NULL; subkey = subkey->next) {
        bool is_signer = subkey->fpr != NULL && g_ascii_strcasecmp(subkey->fpr, signature->key) == 0;

        if (subkey != key->subkeys && !is_signer)
            continue;
        if (weak_bits(subkey) != 0)
            signature->weak_bits = weak_bits(subkey);
        signature->key_expires_at = earlier(signature->key_expires_at, (int64_t)subkey->expires);
        signature->is_key_revoked = signature->is_key_revoked || subkey->revoked;
        signature->is_key_expired = signature->is_key_expired || subkey->expired;
    }
}

static GpgSignature *
signature_new(gpgme_signature_t from)
{
    GpgSignature *signature = g_new0(GpgSignature, 1);
    const char *digest = gpgme_hash_algo_name(from->hash_algo);
    char text[256];

    gpgme_strerror_r(from->status, text, sizeof text);
    signature->status = status_from_code(from->status);
    signature->status_text = g_strdup(text);
    signature->key = from->fpr != NULL ? g_ascii_strup(from->fpr, -1) : g_strdup("unknown");
    signature->digest = g_strdup(digest != NULL ? digest : "unknown");
    signature->is_digest_strong = is_strong_digest(from->hash_algo);
    signature->signed_at = (int64_t)from->timestamp;
    signature->expires_at = (int64_t)from->exp_timestamp;
    return signature;
}

GPtrArray *
sign_gpg_verify(Gpg *gpg, GBytes *message, GBytes *text, GBytes **out_text, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sign_gpg_signature_free);
    g_auto(Data) in = NULL;
    g_auto(Data) signed_text = NULL;
    g_auto(Data) out = NULL;
    gpgme_verify_result_t result;
    gpgme_error_t code;

    if (!data_from_bytes(message, &in, error) || !data_new(&out, error) ||
        (text != NULL && !data_from_bytes(text, &signed_text, error)))
        return NULL;
    code = gpgme_op_verify(gpg->context, in, signed_text, text == NULL ? out : NULL);
    if (code != 0) {
        sign_gpg_fail(error, code, "no signature could be verified");
        return NULL;
    }
    result = gpgme_op_verify_result(gpg->context);
    for (gpgme_signature_t i = result != NULL ? result->signatures : NULL; i != NULL; i = i->next)
        g_ptr_array_add(list, signature_new(i));
    /* Only now: asking for a key would end the verification's result. */
    for (guint i = 0; i < list->len; i++)
        describe_key(gpg, g_ptr_array_index(list, i));
    if (text == NULL && out_text != NULL)
        *out_text = data_to_bytes(&out);
    return g_steal_pointer(&list);
}
