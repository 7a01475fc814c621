// SPDX-License-Identifier: Apache-2.0
/* virt-depot key show: which keys sign a repository, until when, and what its trust says. */
#include "publish/keys.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static gboolean option_json;

static const GOptionEntry OPTIONS[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
add_rows(GPtrArray *rows, const SignKey *key, const char *signer)
{
    for (guint i = 0; i < key->subkeys->len; i++) {
        const SignSubkey *subkey = g_ptr_array_index(key->subkeys, i);
        char **row = g_new0(char *, 6);

        row[0] = g_strdup(i == 0 ? "primary" : "subkey");
        row[1] = g_strdup(subkey->fingerprint);
        row[2] = g_strdup(subkey->algorithm);
        row[3] = subkey->expires == 0 ? g_strdup("never") : cli_format_time(subkey->expires);
        row[4] = keys_status(key, subkey, signer);
        g_ptr_array_add(rows, row);
    }
}

static void
print_keys(const SignKey *key, const char *signer, const SignKey *next)
{
    static const char *const HEADING[] = {"KEY", "FINGERPRINT", "TYPE", "EXPIRES", "STATUS", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

    add_rows(rows, key, signer);
    if (next != NULL) {
        add_rows(rows, next, NULL);
        g_free(((char **)g_ptr_array_index(rows, key->subkeys->len))[4]);
        ((char **)g_ptr_array_index(rows, key->subkeys->len))[4] = g_strdup("next primary");
    }
    cli_print_table(HEADING, rows);
}

static bool
show_home(const char *home, GError **error)
{
    g_autoptr(SignKey) key = sign_key_read(home, error);
    g_autofree char *signer = key != NULL ? sign_key_signer(home, error) : NULL;
    g_autoptr(Json) json = NULL;

    if (signer == NULL)
        return false;
    if (option_json) {
        json = keys_json(key, signer);
        show_repo_json(json);
        return true;
    }
    printf("%s\n", key->user_id);
    print_keys(key, signer, NULL);
    return true;
}

/* add_line: (transfer full) what a host types to follow this repository. */
static char *
add_line(const PublishRepo *repo, const SignTrust *trust)
{
    GString *line = g_string_new("virt-depot source add NAME URL");

    if (trust == NULL) {
        g_string_append_printf(line, " --fingerprint %s", repo->fingerprint);
        return g_string_free(line, FALSE);
    }
    for (char **root = trust->roots; *root != NULL; root++)
        g_string_append_printf(line, " --root %s", *root);
    g_string_append_printf(line, " --threshold %u", trust->threshold);
    return g_string_free(line, FALSE);
}

static Json *
trust_json(const SignTrust *trust, const GPtrArray *signers)
{
    Json *json = json_new_object(), *roots = json_new_array(), *keys = json_new_array();

    json_set_number(json, "version", (int64_t)trust->version);
    json_set_number(json, "created", trust->created);
    json_set_number(json, "expires", trust->expires);
    json_set_flag(json, "expired", trust->expires <= (int64_t)time(NULL));
    json_set_number(json, "threshold", trust->threshold);
    for (char **root = trust->roots; *root != NULL; root++) {
        Json *each = json_new_object();

        json_set_text(each, "fingerprint", *root);
        json_set_flag(each, "signed",
                      g_ptr_array_find_with_equal_func((GPtrArray *)signers, *root, g_str_equal, NULL));
        json_append(roots, each);
    }
    for (guint i = 0; i < trust->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(trust->index_keys, i);
        Json *each = json_new_object();

        json_set_text(each, "fingerprint", key->fingerprint);
        json_set_number(each, "not_after", key->not_after);
        json_append(keys, each);
    }
    json_set(json, "roots", roots);
    json_set(json, "index_keys", keys);
    return json;
}

static void
print_trust(const SignTrust *trust, const GPtrArray *signers)
{
    g_autofree char *expires = cli_format_time(trust->expires);

    printf("\ntrust version %" G_GUINT64_FORMAT ", %s %s, %u of these root keys must sign:\n", trust->version,
           trust->expires <= (int64_t)time(NULL) ? "EXPIRED" : "expires", expires, trust->threshold);
    for (char **root = trust->roots; *root != NULL; root++)
        printf("  root   %s%s\n", *root,
               g_ptr_array_find_with_equal_func((GPtrArray *)signers, *root, g_str_equal, NULL) ? "  signed"
                                                                                                : "");
    for (guint i = 0; i < trust->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(trust->index_keys, i);
        g_autofree char *not_after = cli_format_time(key->not_after);

        printf("  index  %s%s%s\n", key->fingerprint, key->not_after != 0 ? "  until " : "",
               key->not_after != 0 ? not_after : "");
    }
}

static bool
show_repository(const char *location, GError **error)
{
    g_autoptr(PublishRepo) repo = publish_repo_open(location, error);
    g_auto(PublishTrust) trust = {0};
    g_autoptr(SignKey) key = NULL, next = NULL;
    g_autofree char *signer = NULL, *line = NULL, *next_home = NULL;
    g_autoptr(GPtrArray) signers = g_ptr_array_new_with_free_func(g_free);
    const SignTrust *last;

    if (repo == NULL || !publish_trust_read(repo, &trust, error) ||
        (key = sign_key_read(repo->key_home, error)) == NULL ||
        (signer = sign_key_signer(repo->key_home, error)) == NULL)
        return false;
    next_home = publish_repo_key_home(repo, repo->key_number + 1);
    next = sign_key_read(next_home, NULL);
    last = publish_trust_last(&trust);
    if (last != NULL) {
        g_ptr_array_unref(signers);
        signers = sign_trust_signers(last, trust.blocks, trust.keys, (const char *const *)last->roots,
                                     SIGN_TRUST_MAX_ROOTS);
    }
    line = add_line(repo, last);
    if (option_json) {
        g_autoptr(Json) json = json_new_object();

        json_set_text(json, "repository", store_location(repo->store));
        json_set_text(json, "repo_id", repo->repo_id);
        json_set_text(json, "key_home", repo->key_home);
        json_set_text(json, "signer", signer);
        json_set(json, "key", keys_json(key, signer));
        if (next != NULL)
            json_set(json, "next_key", keys_json(next, NULL));
        if (last != NULL)
            json_set(json, "trust", trust_json(last, signers));
        json_set_text(json, "source_add", line);
        show_repo_json(json);
        return true;
    }
    printf("%s\nrepository %s, keys in %s\n\n", store_location(repo->store), repo->repo_id, repo->key_home);
    print_keys(key, signer, next);
    if (last != NULL)
        print_trust(last, signers);
    printf("\non each client:  %s\n", line);
    return true;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    return keys_is_home(argv[0]) ? show_home(argv[0], error) : show_repository(argv[0], error);
}

const Verb PUBLISH_VERB_KEY_SHOW = {
    .name = "key show",
    .arguments = "DIR|HOME",
    .summary = "Show the keys and the trust of a repository, or a key's home",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
