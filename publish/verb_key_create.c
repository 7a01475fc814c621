// SPDX-License-Identifier: Apache-2.0
/* virt-depot key create and key export: a signing key in a folder of its own, such as an offline root key, and its
 * public half. */
#include "base/file.h"
#include "publish/keys.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>

#define MAX_DAYS 36500 /* OpenPGP has 32 bits of seconds: 136 years */
#define MIN_USER_ID 5u /* gpg's own rule */
#define MAX_USER_ID 200u

static char *option_user_id, *option_type, *option_passphrase_file, *option_credential, *option_output;
static int option_valid_days;
static gboolean option_json;

static const GOptionEntry CREATE_OPTIONS[] = {
    {"user-id", 0, 0, G_OPTION_ARG_STRING, &option_user_id, "Who the key belongs to: \"Name <address>\"",
     "TEXT"},
    {"type", 0, 0, G_OPTION_ARG_STRING, &option_type, "ed25519 (default) or rsa3072", "TYPE"},
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days,
     "How long the key is valid (default: it does not expire)", "DAYS"},
    {"passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &option_passphrase_file,
     "The passphrase is the first line of this file", "FILE"},
    {"credential", 0, 0, G_OPTION_ARG_STRING, &option_credential,
     "The passphrase is the systemd credential of this name", "NAME"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry EXPORT_OPTIONS[] = {
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &option_output, "Write to this file instead of standard output",
     "FILE"},
    G_OPTION_ENTRY_NULL,
};

static bool
check_user_id(const char *text, GError **error)
{
    size_t length = text != NULL ? strlen(text) : 0;

    if (length < MIN_USER_ID || length > MAX_USER_ID || !g_utf8_validate(text, -1, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "--user-id: 5 to %u bytes of UTF-8 are expected",
                              MAX_USER_ID);
    for (; *text != '\0'; text++)
        if (g_ascii_iscntrl(*text))
            return error_set_code(error, BASE_ERROR_USAGE, "--user-id: control characters are not allowed");
    return true;
}

static bool
run_create(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    const SignSecret secret = {.file = option_passphrase_file, .credential = option_credential};
    g_autofree char *home = g_canonicalize_filename(argv[0], NULL), *fingerprint = NULL;
    SignKeyKind kind;

    if (!check_user_id(option_user_id, error) || !keys_parse_type(option_type, &kind, error) ||
        !keys_check_secret(&secret, error))
        return false;
    if (option_valid_days < 0 || option_valid_days > MAX_DAYS)
        return error_set_code(error, BASE_ERROR_USAGE, "--valid-days: 0 to %d are possible", MAX_DAYS);
    fingerprint = sign_key_create(home, kind, option_user_id, (unsigned)option_valid_days, &secret, error);
    if (fingerprint == NULL)
        return false;
    if (option_json) {
        g_autoptr(Json) json = json_new_object();

        json_set_text(json, "home", home);
        json_set_text(json, "fingerprint", fingerprint);
        show_repo_json(json);
        return true;
    }
    puts(fingerprint);
    if (!sign_secret_is_given(&secret))
        cli_note("%s: the key has no passphrase: whoever can read the folder can sign", home);
    return true;
}

static GBytes *
export_key(const char *path, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;

    if (keys_is_home(path))
        return sign_key_export(path, error);
    repo = publish_repo_open(path, error);
    return repo != NULL ? sign_key_export(repo->key_home, error) : NULL;
}

static bool
run_export(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(GBytes) keys = export_key(argv[0], error);
    gsize size;
    const char *data = keys != NULL ? g_bytes_get_data(keys, &size) : NULL;

    if (data == NULL)
        return false;
    if (option_output != NULL)
        return file_write_atomic(option_output, data, size, 0644, error);
    return fwrite(data, 1, size, stdout) == size || error_set_errno(error, "cannot write to stdout");
}

const Verb PUBLISH_VERB_KEY_CREATE = {
    .name = "key create",
    .arguments = "HOME",
    .summary = "Make a signing key, such as an offline root key",
    .description = "HOME is a new GnuPG home, the key's own. Its fingerprint goes to standard output.",
    .options = CREATE_OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_create,
};

const Verb PUBLISH_VERB_KEY_EXPORT = {
    .name = "key export",
    .arguments = "DIR|HOME",
    .summary = "Print the public key of a repository or of a key's home",
    .options = EXPORT_OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_export,
};
