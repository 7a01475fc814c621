// SPDX-License-Identifier: Apache-2.0
/* virt-depot index validate: what is wrong with an index file. */
#include "base/file.h"
#include "fetch/fetch.h"
#include "fetch/show.h"
#include "sign/sign.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLEAR_START "-----BEGIN PGP SIGNED MESSAGE-----"
#define MAX_SIGNATURE (64u << 10) /* one is below 1 KB */
#define READ_BYTES (64u << 10)

static char **option_keys;
static gboolean option_weak, option_strict, option_json;

static const GOptionEntry OPTIONS[] = {
    {"key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &option_keys,
     "The signature must be by a public key in this file; may be repeated", "FILE"},
    {"allow-weak-digest", 0, 0, G_OPTION_ARG_NONE, &option_weak, "Accept a signature over a SHA-1 digest",
     NULL},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &option_strict, "Also report what stock virt-builder cannot read",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    const char *path; /* as it was given */
    GBytes *file;
    const char *signature; /* what is known of it, for JSON: "none", "not checked", "good", "bad" */
    SignVerified *verified;
    GPtrArray *findings;
    guint n_entries;
} Validation;

static void
validation_clear(Validation *validation)
{
    g_clear_pointer(&validation->file, g_bytes_unref);
    g_clear_pointer(&validation->verified, sign_verified_free);
    g_clear_pointer(&validation->findings, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Validation, validation_clear)

static GBytes *
read_stdin(GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree guint8 *buffer = g_malloc(READ_BYTES);
    ssize_t n;

    while ((n = read(STDIN_FILENO, buffer, READ_BYTES)) > 0) {
        g_byte_array_append(bytes, buffer, (guint)n);
        if (bytes->len > SIGN_MAX_TEXT) {
            error_set(error, "-: more than %u bytes", SIGN_MAX_TEXT);
            return NULL;
        }
    }
    if (n < 0) {
        error_set_errno(error, "-: cannot read");
        return NULL;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static bool
is_clear_signed(GBytes *file)
{
    gsize size;
    const char *data = g_bytes_get_data(file, &size);

    return size >= strlen(CLEAR_START) && memcmp(data, CLEAR_START, strlen(CLEAR_START)) == 0;
}

/* All keys of all key files as one block, and their fingerprints as pins. */
static GBytes *
read_keys(char ***out_pins, GError **error)
{
    g_autoptr(GPtrArray) blocks = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GPtrArray) pins = g_ptr_array_new_with_free_func(g_free);

    for (char **path = option_keys; *path != NULL; path++) {
        GBytes *block = file_read(*path, SIGN_MAX_KEYS, error);
        g_autoptr(GPtrArray) list = NULL;

        if (block == NULL)
            return NULL;
        g_ptr_array_add(blocks, block);
        list = sign_list_keys(block, error);
        if (list == NULL || list->len == 0) {
            if (list != NULL)
                error_set(error, "no public key in it");
            g_prefix_error(error, "%s: ", *path);
            return NULL;
        }
        for (guint i = 0; i < list->len; i++)
            g_ptr_array_add(pins, g_strdup(sign_key_primary(g_ptr_array_index(list, i))->fingerprint));
    }
    g_ptr_array_add(pins, NULL);
    *out_pins = (char **)g_ptr_array_free(g_steal_pointer(&pins), FALSE);
    return sign_merge_keys(blocks, NULL, error);
}

/* The detached signature beside the file; NULL without an error: there is none. */
static GBytes *
read_detached(const char *path, GError **error)
{
    g_autofree char *sig = g_strconcat(path, ".sig", NULL);
    g_autoptr(GError) problem = NULL;
    GBytes *signature = strcmp(path, "-") == 0 ? NULL : file_read(sig, MAX_SIGNATURE, &problem);

    if (problem != NULL && !g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        g_propagate_error(error, g_steal_pointer(&problem));
    return signature;
}

/* With --key: the signature, of whichever kind, or why it is not to be trusted. */
static bool
check_signature(Validation *validation, GError **error)
{
    g_auto(GStrv) pins = NULL;
    g_autoptr(GBytes) keys = read_keys(&pins, error), detached = NULL;
    SignCheck check = {.keys = keys,
                       .pins = (const char *const *)pins,
                       .policy = option_weak ? SIGN_ALLOW_WEAK_DIGEST : SIGN_STRICT,
                       .name = validation->path};
    g_autoptr(GError) problem = NULL;

    if (keys == NULL)
        return false;
    validation->signature = "bad";
    if (is_clear_signed(validation->file)) {
        validation->verified = sign_verify_clear(validation->file, &check, error);
    } else {
        detached = read_detached(validation->path, &problem);
        if (problem != NULL) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        if (detached == NULL)
            return error_set_code(error, BASE_ERROR_UNTRUSTED,
                                  "%s: not signed: neither clear-signed nor a file '%s.sig' beside it",
                                  validation->path, validation->path);
        validation->verified = sign_verify_detached(validation->file, detached, &check, error);
    }
    if (validation->verified == NULL)
        return false;
    validation->signature = "good";
    return true;
}

static void
check_text(Validation *validation)
{
    g_autoptr(Index) index =
        index_check(validation->file, validation->verified == NULL ? NULL : validation->verified->text,
                    validation->path, option_strict, validation->findings);

    validation->n_entries = index == NULL ? 0 : index->entries->len;
    if (index != NULL && index->expires > 0 && index->expires < (int64_t)time(NULL))
        finding_add(validation->findings, FINDING_ERROR, validation->path, 0,
                    "the index has expired; its publisher must sign it again");
}

static void
print_json(const Validation *validation, const GError *problem)
{
    g_autoptr(Json) json = json_new_object();

    json_set_text(json, "file", validation->path);
    json_set_number(json, "entries", validation->n_entries);
    json_set_text(json, "signature", validation->signature);
    json_set_text(json, "signature_problem", problem == NULL ? NULL : problem->message);
    json_set_text(json, "fingerprint",
                  validation->verified == NULL ? NULL : validation->verified->fingerprint);
    json_set(json, "findings", finding_list_json(validation->findings));
    show_json(json);
}

static bool
report(const Validation *validation, GError **error)
{
    guint n = validation->findings->len;

    if (n > 0)
        return error_set(error, "%s: %u problem%s; %u good entr%s", validation->path, n, n == 1 ? "" : "s",
                         validation->n_entries, validation->n_entries == 1 ? "y" : "ies");
    cli_note("%s: %u entr%s, no problem%s", validation->path, validation->n_entries,
             validation->n_entries == 1 ? "y" : "ies",
             strcmp(validation->signature, "not checked") == 0 ? "; signature not checked: no --key" : "");
    return true;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_auto(Validation) validation = {.path = argv[0], .signature = "none"};
    g_autoptr(GError) problem = NULL;

    validation.file =
        strcmp(argv[0], "-") == 0 ? read_stdin(error) : file_read(argv[0], SIGN_MAX_TEXT, error);
    if (validation.file == NULL)
        return false;
    validation.findings = finding_list_new();
    if (option_keys != NULL) {
        /* What is not trusted is checked all the same, for whoever has to mend it; nothing is believed here. */
        if (!check_signature(&validation, &problem) &&
            !g_error_matches(problem, BASE_ERROR, BASE_ERROR_UNTRUSTED)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
    } else if (is_clear_signed(validation.file)) {
        validation.signature = "not checked";
    }
    check_text(&validation);
    if (option_json)
        print_json(&validation, problem);
    else
        finding_print_list(validation.findings);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    return report(&validation, error);
}

const Verb FETCH_VERB_INDEX_VALIDATE = {
    .name = "index validate",
    .arguments = "FILE",
    .summary = "Check an index file: syntax, meaning and signature",
    .description = "FILE is an index or index.asc, or - for standard input.",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
