// SPDX-License-Identifier: Apache-2.0
/* virt-depot trust sign and trust publish: a root key's signature of a drafted version, on a machine that needs no
 * network, and the version with enough of them into the repository. */
#include "base/file.h"
#include "publish/keys.h"
#include "publish/publish.h"

#include <stdio.h>
#include <string.h>

static char *option_home, *option_passphrase_file, *option_credential;
static gboolean option_dry_run;

static const GOptionEntry SIGN_OPTIONS[] = {
    {"home", 0, 0, G_OPTION_ARG_FILENAME, &option_home, "The GnuPG home of the root key", "HOME"},
    {"passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &option_passphrase_file,
     "The passphrase is the first line of this file", "FILE"},
    {"credential", 0, 0, G_OPTION_ARG_STRING, &option_credential,
     "The passphrase is the systemd credential of this name", "NAME"},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Show what would be signed, and do nothing", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry PUBLISH_OPTIONS[] = {
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Only say whether enough root keys have signed",
     NULL},
    G_OPTION_ENTRY_NULL,
};

/* Who signs should see what: the text is for people, too. */
static void
print_text(const SignTrust *trust)
{
    g_autofree char *text = sign_trust_print(trust);

    fputs(text, stdout);
}

/* read_or_empty: a file that may not be there yet. */
static GBytes *
read_or_empty(const char *path, GError **error)
{
    g_autoptr(GError) problem = NULL;
    GBytes *bytes = file_read(path, SIGN_TRUST_MAX_BYTES, &problem);

    if (bytes == NULL && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return g_bytes_new(NULL, 0);
    if (bytes == NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    return bytes;
}

static bool
append_signature(const char *file, const SignTrust *trust, const SignSecret *secret, GError **error)
{
    g_autofree char *path = g_strconcat(file, ".sig", NULL);
    g_autoptr(GBytes) before = read_or_empty(path, error), armour = NULL;
    g_autoptr(GString) all = g_string_new(NULL);

    if (before == NULL)
        return false;
    armour = sign_detached(option_home, trust->text, secret, error);
    if (armour == NULL)
        return false;
    if (g_bytes_get_size(before) > 0)
        g_string_append_len(all, g_bytes_get_data(before, NULL), (gssize)g_bytes_get_size(before));
    sign_trust_print_signature(all, trust->version, armour);
    return file_write_atomic(path, all->str, all->len, 0644, error);
}

static bool
run_sign(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    const SignSecret secret = {.file = option_passphrase_file, .credential = option_credential};
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(SignTrust) trust = NULL;
    g_autofree char *fingerprint = NULL;

    if (option_home == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "say with --home where the root key is");
    if (!keys_check_secret(&secret, error) ||
        (bytes = file_read(argv[0], SIGN_TRUST_MAX_BYTES, error)) == NULL ||
        (trust = sign_trust_parse_one(bytes, argv[0], error)) == NULL ||
        (fingerprint = sign_key_fingerprint(option_home, error)) == NULL)
        return false;
    print_text(trust);
    if (!sign_trust_has_root(trust, fingerprint))
        cli_note("%s is no root key of this version; its word counts if it was one of the version before",
                 fingerprint);
    if (option_dry_run)
        return true;
    if (!append_signature(argv[0], trust, &secret, error))
        return false;
    cli_note("signed by %s: the signature was added to %s.sig", fingerprint, argv[0]);
    return true;
}

typedef struct {
    GBytes *text, *signatures, *keys;
} Files;

static void
files_clear(Files *files)
{
    g_clear_pointer(&files->text, g_bytes_unref);
    g_clear_pointer(&files->signatures, g_bytes_unref);
    g_clear_pointer(&files->keys, g_bytes_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Files, files_clear)

static bool
read_files(const char *file, Files *out_files, GError **error)
{
    g_autofree char *signatures = g_strconcat(file, ".sig", NULL), *keys = g_strconcat(file, ".keys", NULL);

    out_files->text = file_read(file, SIGN_TRUST_MAX_BYTES, error);
    if (out_files->text == NULL)
        return false;
    out_files->signatures = file_read(signatures, SIGN_TRUST_MAX_BYTES, error);
    if (out_files->signatures == NULL) {
        g_prefix_error(error, "no root key has signed it yet: ");
        return false;
    }
    out_files->keys = read_or_empty(keys, error);
    return out_files->keys != NULL;
}

/* choose_key: the key that the new version lets this host sign with: its next one where that is named. */
static bool
choose_key(PublishRepo *repo, GBytes *text, const char *name, bool *out_is_next, GError **error)
{
    g_autoptr(SignTrust) trust = sign_trust_parse_one(text, name, error);
    g_autofree char *next = publish_repo_next_key(repo, NULL);

    if (trust == NULL)
        return false;
    *out_is_next = next != NULL && sign_trust_index_key(trust, next) != NULL;
    if (*out_is_next || sign_trust_index_key(trust, repo->fingerprint) != NULL)
        return true;
    return error_set(error, "%s: names no key of this host, so nothing could be published here under it",
                     name);
}

static bool
run_publish(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_auto(Files) files = {0};
    g_autoptr(PublishRepo) repo = NULL;
    g_autoptr(Index) index = NULL;
    bool is_next;

    if (!read_files(argv[1], &files, error) || (repo = keys_open(argv[0], error)) == NULL ||
        !publish_trust_check(repo, files.text, files.signatures, files.keys, error) ||
        !choose_key(repo, files.text, argv[1], &is_next, error))
        return false;
    if (option_dry_run) {
        puts("enough root keys have signed; it could be published");
        return true;
    }
    index = publish_repo_read(repo, error);
    if (index == NULL || !publish_trust_extend(repo, files.text, files.signatures, files.keys, error) ||
        (is_next && !publish_repo_use_next_key(repo, error)) || !keys_republish(repo, index, error))
        return false;
    cli_note("version %" G_GUINT64_FORMAT " is published with the new trust; key %s signs it", index->version,
             repo->fingerprint);
    return true;
}

const Verb PUBLISH_VERB_TRUST_SIGN = {
    .name = "trust sign",
    .arguments = "FILE",
    .summary = "Sign a drafted version of a repository's trust with a root key",
    .description = "Needs no network and no repository. Shows what it signs.",
    .options = SIGN_OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_sign,
};

const Verb PUBLISH_VERB_TRUST_PUBLISH = {
    .name = "trust publish",
    .arguments = "DIR FILE",
    .summary = "Publish a version of the trust that enough root keys have signed",
    .options = PUBLISH_OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_publish,
};
