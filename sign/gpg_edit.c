// SPDX-License-Identifier: Apache-2.0
/* The rest of the wall around gpgme: making keys and subkeys, and revoking them. */
#include "sign/gpg_context.h"

#include <string.h>

#define SECONDS_PER_DAY (24ul * 60 * 60)

static const char *
algorithm_name(SignKeyKind kind)
{
    return kind == SIGN_KEY_RSA3072 ? "rsa3072" : "ed25519";
}

static unsigned
creation_flags(const Gpg *gpg, unsigned valid_days)
{
    return GPGME_CREATE_SIGN | (gpg->passphrase == NULL ? GPGME_CREATE_NOPASSWD : 0) |
           (valid_days == 0 ? GPGME_CREATE_NOEXPIRE : 0);
}

static char *
created_fingerprint(Gpg *gpg, const char *what, GError **error)
{
    gpgme_genkey_result_t result = gpgme_op_genkey_result(gpg->context);

    if (result == NULL || result->fpr == NULL) {
        error_set(error, "gpg: %s: no fingerprint came back", what);
        return NULL;
    }
    return g_ascii_strup(result->fpr, -1);
}

char *
sign_gpg_create(Gpg *gpg, SignKeyKind kind, const char *user_id, unsigned valid_days, GError **error)
{
    gpgme_error_t code =
        gpgme_op_createkey(gpg->context, user_id, algorithm_name(kind), 0, valid_days * SECONDS_PER_DAY, NULL,
                           creation_flags(gpg, valid_days) | GPGME_CREATE_CERT);

    if (code != 0) {
        sign_gpg_fail(error, code, "cannot create a key");
        return NULL;
    }
    return created_fingerprint(gpg, "cannot create a key", error);
}

char *
sign_gpg_add_subkey(Gpg *gpg, SignKeyKind kind, const char *primary, unsigned valid_days, GError **error)
{
    g_auto(Key) key = NULL;
    gpgme_error_t code = gpgme_get_key(gpg->context, primary, &key, 1);

    if (code == 0)
        code = gpgme_op_createsubkey(gpg->context, key, algorithm_name(kind), 0, valid_days * SECONDS_PER_DAY,
                                     creation_flags(gpg, valid_days));
    if (code != 0) {
        sign_gpg_fail(error, code, "cannot add a subkey");
        return NULL;
    }
    return created_fingerprint(gpg, "cannot add a subkey", error);
}

/* Dialog: how far the conversation with gpg --edit-key has come. */
typedef struct {
    unsigned subkey;
    unsigned prompts;
} Dialog;

static const char *
choose_answer(Dialog *dialog, const char *prompt, char *buffer, size_t size)
{
    if (strcmp(prompt, "keyedit.prompt") == 0) {
        unsigned step = dialog->prompts++ + (dialog->subkey == 0 ? 1 : 0);

        if (step == 0)
            g_snprintf(buffer, size, "key %u", dialog->subkey);
        else
            g_strlcpy(buffer, step == 1 ? "revkey" : "save", size);
        return buffer;
    }
    if (strcmp(prompt, "ask_revocation_reason.code") == 0)
        return "0"; /* none stated */
    if (strcmp(prompt, "ask_revocation_reason.text") == 0)
        return "";
    if (strcmp(prompt, "keyedit.revoke.subkey.okay") == 0 ||
        strcmp(prompt, "ask_revocation_reason.okay") == 0 || strcmp(prompt, "keyedit.save.okay") == 0)
        return "y";
    return NULL;
}

static gpgme_error_t
converse(void *opaque, const char *keyword, const char *prompt, int fd)
{
    Dialog *dialog = opaque;
    char buffer[32];
    const char *answer;

    if (fd < 0 || !g_str_has_prefix(keyword, "GET_"))
        return 0; /* news, not a question */
    answer = choose_answer(dialog, prompt, buffer, sizeof buffer);
    if (answer == NULL)
        return gpgme_error(GPG_ERR_UNEXPECTED);
    if (gpgme_io_writen(fd, answer, strlen(answer)) != 0 || gpgme_io_writen(fd, "\n", 1) != 0)
        return gpgme_error_from_syserror();
    return 0;
}

bool
sign_gpg_revoke(Gpg *gpg, const char *primary, unsigned subkey, GError **error)
{
    g_auto(Key) key = NULL;
    g_auto(Data) out = NULL;
    Dialog dialog = {.subkey = subkey};
    gpgme_error_t code = gpgme_get_key(gpg->context, primary, &key, 1);

    if (code == 0)
        code = gpgme_data_new(&out);
    if (code == 0)
        code = gpgme_op_interact(gpg->context, key, 0, converse, &dialog, out);
    return code == 0 || sign_gpg_fail(error, code, "cannot revoke");
}
