// SPDX-License-Identifier: Apache-2.0
/* virt-depot key rotate and key revoke: another subkey or key to sign a repository with, and an end to one. */
#include "publish/keys.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>

#define MAX_DAYS 36500

static int option_key_days;
static gboolean option_next_only, option_primary, option_dry_run, option_json, option_force;

static const GOptionEntry ROTATE_OPTIONS[] = {
    {"next-only", 0, 0, G_OPTION_ARG_NONE, &option_next_only,
     "Make the next subkey and publish it in keys.asc, but do not sign with it yet", NULL},
    {"primary", 0, 0, G_OPTION_ARG_NONE, &option_primary,
     "Make a whole new key, which counts once the root keys say so", NULL},
    {"key-days", 0, 0, G_OPTION_ARG_INT, &option_key_days,
     "How long a new subkey is valid (default: as long as its primary key)", "DAYS"},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be done, and do nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry REVOKE_OPTIONS[] = {
    {"force", 0, 0, G_OPTION_ARG_NONE, &option_force,
     "Revoke even the key without which nothing can be published here any more", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be done, and do nothing", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
report(const PublishRepo *repo, const Index *index, const char *fingerprint, const char *what)
{
    if (option_json) {
        g_autoptr(Json) json = show_index_json(repo, index);

        json_set_text(json, "key", fingerprint);
        json_set_text(json, "status", what);
        show_repo_json(json);
        return;
    }
    printf("%s\n", fingerprint);
    cli_note("version %" G_GUINT64_FORMAT " is published; the key %s", index->version, what);
}

/* rotate_subkey: what the repository signs with is exchanged; who pinned the primary key need not do anything. */
static bool
rotate_subkey(PublishRepo *repo, Index *index, GError **error)
{
    g_autofree char *next = sign_key_prepare(repo->key_home, (unsigned)option_key_days, error);

    if (next == NULL || (!option_next_only && !sign_key_use(repo->key_home, next, error)) ||
        !keys_republish(repo, index, error))
        return false;
    report(repo, index, next,
           option_next_only ? "is in keys.asc and signs after the next 'key rotate'" : "signs from now on");
    return true;
}

/* next_primary: (transfer full) the fingerprint of the key after the present one, made where it is not there yet. */
static char *
next_primary(const PublishRepo *repo, GError **error)
{
    g_autofree char *home = publish_repo_key_home(repo, repo->key_number + 1);
    char *fingerprint = sign_key_fingerprint(home, NULL);
    g_autoptr(SignKey) key = NULL;
    SignKeyKind kind;

    if (fingerprint != NULL)
        return fingerprint;
    key = sign_key_read(repo->key_home, error);
    if (key == NULL)
        return NULL;
    kind = g_str_has_prefix(sign_key_primary(key)->algorithm, "rsa") ? SIGN_KEY_RSA3072 : SIGN_KEY_ED25519;
    return sign_key_succeed(repo->key_home, home, kind, key->user_id, error);
}

static bool
rotate_primary(PublishRepo *repo, Index *index, GError **error)
{
    g_auto(PublishTrust) trust = {0};
    g_autofree char *next = NULL;

    if (!publish_trust_read(repo, &trust, error))
        return false;
    if (trust.chain == NULL)
        return error_set(
            error,
            "%s: has no trust, so every host would have to pin the new key by hand; root keys can name "
            "it once there is one (virt-depot trust draft), and subkeys rotate without",
            store_location(repo->store));
    next = next_primary(repo, error);
    if (next == NULL || !keys_republish(repo, index, error))
        return false;
    report(repo, index, next, "signs once the root keys have signed a version of the trust that names it");
    return true;
}

static bool
run_rotate(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;
    g_autoptr(Index) index = NULL;

    if (option_primary && option_next_only)
        return error_set_code(error, BASE_ERROR_USAGE, "--primary and --next-only exclude each other");
    if (option_key_days < 0 || option_key_days > MAX_DAYS)
        return error_set_code(error, BASE_ERROR_USAGE, "--key-days: 0 to %d are possible", MAX_DAYS);
    repo = keys_open(argv[0], error);
    index = repo != NULL ? publish_repo_read(repo, error) : NULL;
    if (index == NULL)
        return false;
    if (option_dry_run) {
        printf("would make %s for %s\n", option_primary ? "a new primary key" : "or take up the next subkey",
               store_location(repo->store));
        return true;
    }
    return (option_primary ? rotate_primary : rotate_subkey)(repo, index, error);
}

/* find_home: (transfer full) the home, among those of this repository, of the (sub)key. */
static char *
find_home(const PublishRepo *repo, const char *fingerprint, unsigned *out_number, GError **error)
{
    for (unsigned number = repo->key_number + 1; number > 0; number--) {
        g_autofree char *home = publish_repo_key_home(repo, number);
        g_autoptr(SignKey) key = sign_key_read(home, NULL);

        if (key != NULL && sign_key_subkey(key, fingerprint) != NULL) {
            *out_number = number;
            return g_steal_pointer(&home);
        }
    }
    error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: has no (sub)key %s; 'virt-depot key show' lists them",
                   store_location(repo->store), fingerprint);
    return NULL;
}

/* check_revocable: the present signer has to be replaced first. *out_is_last: nothing can sign afterwards. */
static bool
check_revocable(const PublishRepo *repo, const char *fingerprint, unsigned number, bool *out_is_last,
                GError **error)
{
    g_autofree char *signer = sign_key_signer(repo->key_home, error);
    bool is_primary = strcmp(fingerprint, repo->fingerprint) == 0;

    *out_is_last = number == repo->key_number && is_primary;
    if (signer == NULL)
        return false;
    if (*out_is_last && !option_force)
        return error_set(
            error,
            "%s: %s is the key of this repository: without it nothing can be published here and clients "
            "refuse what is; exchange it first ('virt-depot key rotate --primary'), or say --force",
            store_location(repo->store), fingerprint);
    if (!is_primary && strcmp(fingerprint, signer) == 0)
        return error_set(error, "%s: %s signs the index now; exchange it first with 'virt-depot key rotate'",
                         store_location(repo->store), fingerprint);
    return true;
}

static bool
run_revoke(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autofree char *fingerprint = sign_normal_fingerprint(argv[1], error), *home = NULL;
    g_autoptr(PublishRepo) repo = fingerprint != NULL ? keys_open(argv[0], error) : NULL;
    g_autoptr(Index) index = NULL;
    unsigned number = 0;
    bool is_last;

    if (repo == NULL || (home = find_home(repo, fingerprint, &number, error)) == NULL ||
        !check_revocable(repo, fingerprint, number, &is_last, error) ||
        (index = publish_repo_read(repo, error)) == NULL)
        return false;
    if (option_dry_run) {
        printf("would revoke %s and publish that in keys.asc\n", fingerprint);
        return true;
    }
    if (!sign_key_revoke(home, fingerprint, error) ||
        !(is_last ? publish_repo_write_keys(repo, error) : keys_republish(repo, index, error)))
        return false;
    cli_note("%s is revoked, which keys.asc says now", fingerprint);
    return true;
}

const Verb PUBLISH_VERB_KEY_ROTATE = {
    .name = "key rotate",
    .arguments = "DIR",
    .summary = "Sign a repository with another subkey or key from now on",
    .description = "Hosts that pinned the primary key, or root keys, follow by themselves.",
    .options = ROTATE_OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_rotate,
};

const Verb PUBLISH_VERB_KEY_REVOKE = {
    .name = "key revoke",
    .arguments = "DIR FPR",
    .summary = "Revoke a subkey or key of a repository",
    .options = REVOKE_OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_revoke,
};
