// SPDX-License-Identifier: Apache-2.0
/* virt-depot trust draft: the next version of a repository's trust as a text, for the root keys to sign elsewhere. */
#include "base/file.h"
#include "publish/keys.h"
#include "publish/publish.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_DAYS 365
#define MAX_DAYS 3650
#define SECONDS_PER_DAY (24 * 60 * 60)

static char **option_roots, **option_index, **option_drop;
static int option_threshold, option_valid_days = DEFAULT_DAYS;
static char *option_output;

static const GOptionEntry OPTIONS[] = {
    {"root", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &option_roots,
     "A root key: its public key file, or the fingerprint of a present one; repeat for all of them "
     "(default: the present ones)",
     "KEY"},
    {"threshold", 0, 0, G_OPTION_ARG_INT, &option_threshold,
     "How many root keys must sign (default: as before, at first more than half)", "K"},
    {"index", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_index,
     "Let this key, too, sign the index, with @YYYY-MM-DD only until that day's end", "FPR[@DAY]"},
    {"drop-index", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_drop, "Let this key sign no longer", "FPR"},
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days, "How long the text is valid (default: 365)",
     "DAYS"},
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &option_output,
     "Write the text to this file, and the public keys to FILE.keys", "FILE"},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    SignTrust *next;
    GPtrArray *roots;  /* (element-type utf8) */
    GPtrArray *blocks; /* (element-type GBytes) public keys */
} Draft;

static void
draft_clear(Draft *draft)
{
    g_clear_pointer(&draft->next, sign_trust_free);
    g_clear_pointer(&draft->roots, g_ptr_array_unref);
    g_clear_pointer(&draft->blocks, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Draft, draft_clear)

static bool
add_root(Draft *draft, const SignTrust *last, const char *text, GError **error)
{
    g_autofree char *fingerprint = NULL;
    g_autoptr(GBytes) keys = NULL, key = NULL;

    if (sign_is_fingerprint(text)) {
        fingerprint = sign_normal_fingerprint(text, error);
        if (last == NULL || !sign_trust_has_root(last, fingerprint))
            return error_set_code(error, BASE_ERROR_USAGE,
                                  "--root: %s is no root key at present; give its public key as a file",
                                  text);
    } else {
        keys = file_read(text, SIGN_MAX_KEYS, error);
        key = keys != NULL ? sign_select_key(keys, NULL, &fingerprint, error) : NULL;
        if (key == NULL)
            return false;
        g_ptr_array_add(draft->blocks, g_steal_pointer(&key));
    }
    if (g_ptr_array_find_with_equal_func(draft->roots, fingerprint, g_str_equal, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "--root: %s is given twice", fingerprint);
    g_ptr_array_add(draft->roots, g_steal_pointer(&fingerprint));
    return true;
}

static bool
take_roots(Draft *draft, const SignTrust *last, GError **error)
{
    char **from = option_roots != NULL ? option_roots : last != NULL ? last->roots : NULL;
    guint n = from != NULL ? g_strv_length(from) : 0;
    int threshold = option_threshold;

    if (n == 0 || n > SIGN_TRUST_MAX_ROOTS)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "1 to %u root keys are needed: give their public keys with --root",
                              SIGN_TRUST_MAX_ROOTS);
    for (guint i = 0; i < n; i++)
        if (!add_root(draft, last, from[i], error))
            return false;
    if (threshold == 0)
        threshold = (int)(last != NULL ? MIN(last->threshold, n) : n / 2 + 1);
    if (threshold < 1 || (guint)threshold > n)
        return error_set_code(error, BASE_ERROR_USAGE, "--threshold: 1 to %u are possible", n);
    draft->next->threshold = (unsigned)threshold;
    g_strfreev(draft->next->roots);
    draft->next->roots = g_new0(char *, n + 1);
    for (guint i = 0; i < n; i++)
        draft->next->roots[i] = g_strdup(g_ptr_array_index(draft->roots, i));
    return true;
}

static void
drop_key(SignTrust *trust, const char *fingerprint)
{
    for (guint i = trust->index_keys->len; i > 0; i--)
        if (strcmp(((SignIndexKey *)g_ptr_array_index(trust->index_keys, i - 1))->fingerprint, fingerprint) ==
            0)
            g_ptr_array_remove_index(trust->index_keys, i - 1);
}

static bool
parse_day(const char *text, int64_t *out_time)
{
    g_autofree char *full = g_strconcat(text, "T23:59:59Z", NULL);
    g_autoptr(GDateTime) time =
        strlen(text) == strlen("2026-01-31") ? g_date_time_new_from_iso8601(full, NULL) : NULL;

    if (time == NULL)
        return false;
    *out_time = g_date_time_to_unix(time);
    return true;
}

static bool
add_index_key(SignTrust *trust, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "@", 2);
    g_autofree char *fingerprint = sign_normal_fingerprint(parts[0] != NULL ? parts[0] : "", error);
    int64_t not_after = 0;

    if (fingerprint == NULL)
        return false;
    if (parts[1] != NULL && !parse_day(parts[1], &not_after))
        return error_set_code(error, BASE_ERROR_USAGE, "--index: '%s' is no day like 2026-01-31", parts[1]);
    drop_key(trust, fingerprint);
    sign_trust_add_index_key(trust, fingerprint, not_after);
    return true;
}

/* The keys of before, this host's present and next one, and what the command line adds and takes away. */
static bool
take_index_keys(Draft *draft, const SignTrust *last, const PublishRepo *repo, GError **error)
{
    SignTrust *next = draft->next;
    g_autofree char *successor = publish_repo_next_key(repo, NULL);

    for (guint i = 0; last != NULL && i < last->index_keys->len; i++) {
        const SignIndexKey *key = g_ptr_array_index(last->index_keys, i);

        if (key->not_after == 0 || key->not_after > next->created)
            sign_trust_add_index_key(next, key->fingerprint, key->not_after);
    }
    if (sign_trust_index_key(next, repo->fingerprint) == NULL)
        sign_trust_add_index_key(next, repo->fingerprint, 0);
    if (successor != NULL && sign_trust_index_key(next, successor) == NULL)
        sign_trust_add_index_key(next, successor, 0);
    for (char **text = option_index; text != NULL && *text != NULL; text++)
        if (!add_index_key(next, *text, error))
            return false;
    for (char **text = option_drop; text != NULL && *text != NULL; text++) {
        g_autofree char *fingerprint = sign_normal_fingerprint(*text, error);

        if (fingerprint == NULL)
            return false;
        drop_key(next, fingerprint);
    }
    if (next->index_keys->len == 0 || next->index_keys->len > SIGN_TRUST_MAX_INDEX_KEYS)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "1 to %u keys may sign the index, and these would be %u",
                              SIGN_TRUST_MAX_INDEX_KEYS, next->index_keys->len);
    return true;
}

static bool
write_draft(const Draft *draft, GError **error)
{
    g_autofree char *text = sign_trust_print(draft->next),
                    *keys_path = g_strconcat(option_output, ".keys", NULL);
    g_autofree char *signatures_path = g_strconcat(option_output, ".sig", NULL);
    g_autoptr(GBytes) keys = sign_merge_keys(draft->blocks, NULL, error);

    /* Signatures of an earlier draft of that name would not fit this one. */
    return keys != NULL && file_remove(signatures_path, error) &&
           file_write_atomic(keys_path, g_bytes_get_data(keys, NULL), g_bytes_get_size(keys), 0644, error) &&
           file_write_atomic(option_output, text, strlen(text), 0644, error);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;
    g_auto(PublishTrust) trust = {0};
    g_auto(Draft) draft = {.next = sign_trust_new(),
                           .roots = g_ptr_array_new_with_free_func(g_free),
                           .blocks = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref)};
    const SignTrust *last;

    if (option_output == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "say where the text is to go with --output");
    if (option_valid_days < 1 || option_valid_days > MAX_DAYS)
        return error_set_code(error, BASE_ERROR_USAGE, "--valid-days: 1 to %d are possible", MAX_DAYS);
    repo = publish_repo_open(argv[0], error);
    if (repo == NULL || !publish_trust_read(repo, &trust, error))
        return false;
    last = publish_trust_last(&trust);
    draft.next->repo_id = g_ascii_strdown(repo->repo_id, -1);
    draft.next->version = last != NULL ? last->version + 1 : 1;
    draft.next->created = g_get_real_time() / G_USEC_PER_SEC;
    draft.next->expires = draft.next->created + (int64_t)option_valid_days * SECONDS_PER_DAY;
    if (draft.next->version > SIGN_TRUST_MAX_VERSIONS)
        return error_set(error, "%s: %u versions of the trust are all that clients read",
                         store_location(repo->store), SIGN_TRUST_MAX_VERSIONS);
    if (!take_roots(&draft, last, error) || !take_index_keys(&draft, last, repo, error) ||
        !write_draft(&draft, error))
        return false;
    cli_note("version %" G_GUINT64_FORMAT " of the trust is drafted; have it signed where the root keys are:",
             draft.next->version);
    cli_note("  virt-depot trust sign %s --home HOME", option_output);
    if (last != NULL)
        cli_note("by %u of its own root keys and %u of the present ones", draft.next->threshold,
                 last->threshold);
    else
        cli_note("by %u of its root keys", draft.next->threshold);
    return true;
}

const Verb PUBLISH_VERB_TRUST_DRAFT = {
    .name = "trust draft",
    .arguments = "DIR",
    .summary = "Write the next version of a repository's trust for the root keys to sign",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
