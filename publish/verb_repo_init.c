// SPDX-License-Identifier: Apache-2.0
/* virt-depot repo init: a new repository with a signing key of its own and an empty signed index. */
#include "base/json.h"
#include "publish/publish.h"
#include "publish/repo.h"

#include <stdio.h>
#include <string.h>

#define MAX_USER_ID 200u

static char *option_key_type;
static char *option_user_id;
static char *option_passphrase_file;
static char *option_credential;
static gboolean option_json;

static const GOptionEntry OPTIONS[] = {
    {"key-type", 0, 0, G_OPTION_ARG_STRING, &option_key_type,
     "ed25519 (default), or rsa for GnuPG 1.4 clients", "TYPE"},
    {"user-id", 0, 0, G_OPTION_ARG_STRING, &option_user_id, "Who the key belongs to: \"Name <address>\"",
     "TEXT"},
    {"passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &option_passphrase_file,
     "Protect the key with the first line of this file, now and whenever it signs", "FILE"},
    {"credential", 0, 0, G_OPTION_ARG_STRING, &option_credential,
     "The same with a systemd credential of this name", "NAME"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static bool
parse_key_type(const char *text, SignKeyKind *out_kind, GError **error)
{
    if (text == NULL || strcmp(text, "ed25519") == 0)
        *out_kind = SIGN_KEY_ED25519;
    else if (strcmp(text, "rsa") == 0)
        *out_kind = SIGN_KEY_RSA3072;
    else
        return error_set_code(error, BASE_ERROR_USAGE, "--key-type: '%s' is neither ed25519 nor rsa", text);
    return true;
}

/* choose_user_id: (transfer full) as given, or one that names the repository's folder. */
static char *
choose_user_id(const char *given, const char *location, GError **error)
{
    g_autofree char *path = g_canonicalize_filename(location, NULL);
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *name = g_utf8_make_valid(base, -1);

    if (given == NULL) {
        for (char *p = name; *p != '\0'; p++)
            *p = g_ascii_iscntrl(*p) || strchr("<>()", *p) != NULL ? '_' : *p;
        return g_strdup_printf("virt-depot repository %.*s", (int)(MAX_USER_ID / 2), name);
    }
    if (strlen(given) < 5 || strlen(given) > MAX_USER_ID || !g_utf8_validate(given, -1, NULL)) {
        error_set_code(error, BASE_ERROR_USAGE, "--user-id: 5 to %u bytes of UTF-8 are expected",
                       MAX_USER_ID);
        return NULL;
    }
    for (const char *p = given; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p)) {
            error_set_code(error, BASE_ERROR_USAGE, "--user-id: control characters are not allowed");
            return NULL;
        }
    }
    return g_strdup(given);
}

static void
print_result(const PublishRepo *repo, const Index *index)
{
    const char *location = store_location(repo->store);

    if (option_json) {
        g_autoptr(Json) json = json_new_object();
        g_autofree char *text = NULL;

        json_set_text(json, "repository", location);
        json_set_text(json, "repo_id", repo->repo_id);
        json_set_text(json, "fingerprint", repo->fingerprint);
        json_set_text(json, "key_home", repo->key_home);
        json_set_number(json, "version", (int64_t)index->version);
        json_set_number(json, "expires", index->expires);
        text = json_print(json);
        fputs(text, stdout);
        return;
    }
    printf("%s\n", repo->fingerprint);
    cli_note("%s is ready; its key is in %s (keep a copy in a safe place)", location, repo->key_home);
    cli_note("publish an image:  virt-depot repo add %s IMAGE --name NAME", location);
    cli_note("on each client:    virt-depot source add NAME URL --fingerprint %s", repo->fingerprint);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autofree char *user_id = choose_user_id(option_user_id, argv[0], error);
    g_autoptr(PublishRepo) repo = NULL;
    g_autoptr(Index) index = index_new();
    const SignSecret secret = {.file = option_passphrase_file, .credential = option_credential};
    SignKeyKind kind = SIGN_KEY_ED25519;

    if (option_passphrase_file != NULL && option_credential != NULL)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--passphrase-file and --credential exclude each other");
    if (user_id == NULL || !parse_key_type(option_key_type, &kind, error))
        return false;
    repo = publish_repo_create(argv[0], kind, user_id, &secret, error);
    if (repo == NULL || !publish_repo_write(repo, index, PUBLISH_VALID_DAYS, error))
        return false;
    print_result(repo, index);
    return true;
}

const Verb PUBLISH_VERB_REPO_INIT = {
    .name = "repo init",
    .arguments = "DIR",
    .summary = "Make a repository with a signing key of its own",
    .description = "DIR is made, or must be empty. The fingerprint on standard output is what clients pin.",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
