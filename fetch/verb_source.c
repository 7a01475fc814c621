// SPDX-License-Identifier: Apache-2.0
/* virt-depot source add, list and remove. */
#include "base/file.h"
#include "fetch/access.h"
#include "fetch/fetch.h"
#include "fetch/show.h"
#include "fetch/trust_state.h"
#include "net/net.h"
#include "sign/sign.h"

#include <stdio.h>
#include <string.h>

static char **option_fingerprints, **option_roots, **option_mirrors;
static int option_threshold;
static char *option_key, *option_format, *option_proxy, *option_ca, *option_client_cert, *option_client_key,
    *option_credential;
static int option_priority = SOURCE_PRIORITY;
static gboolean option_unsigned, option_strict, option_json, option_dry_run;

static const GOptionEntry ADD_OPTIONS[] = {
    {"fingerprint", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_fingerprints,
     "Trust an index signed by this key: 40 hex digits; may be repeated", "FPR"},
    {"root", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_roots,
     "Trust an index key that root keys such as this one name; repeat for each", "FPR"},
    {"threshold", 0, 0, G_OPTION_ARG_INT, &option_threshold,
     "How many of the root keys must have signed (default: all that are given)", "K"},
    {"key", 0, 0, G_OPTION_ARG_FILENAME, &option_key,
     "Public keys to choose from, instead of the source's keys.asc", "FILE"},
    {"unsigned", 0, 0, G_OPTION_ARG_NONE, &option_unsigned, "Believe the source without any signature", NULL},
    {"format", 0, 0, G_OPTION_ARG_STRING, &option_format,
     "What the source serves: native (default) or simplestreams", "FORMAT"},
    {"priority", 0, 0, G_OPTION_ARG_INT, &option_priority,
     "Prefer its images to those of sources with a lower number; 50 by default", "N"},
    {"mirror", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_mirrors,
     "The same repository elsewhere, for when URL fails or is behind; may be repeated", "URL"},
    {"proxy", 0, 0, G_OPTION_ARG_STRING, &option_proxy,
     "A proxy's URL, no, or system: what the environment says, the default", "PROXY"},
    {"ca", 0, 0, G_OPTION_ARG_FILENAME, &option_ca,
     "Certificate authorities to trust instead of the system's (PEM)", "FILE"},
    {"client-cert", 0, 0, G_OPTION_ARG_FILENAME, &option_client_cert,
     "Certificate by which the server knows this host (PEM)", "FILE"},
    {"client-key", 0, 0, G_OPTION_ARG_FILENAME, &option_client_key,
     "Its key (PEM), readable by its owner alone", "FILE"},
    {"credential", 0, 0, G_OPTION_ARG_STRING, &option_credential,
     "File with USER:PASSWORD or 'bearer TOKEN', or @NAME of a systemd credential", "FILE"},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &option_strict,
     "Unpack nothing before the digest of its whole file is known to be right", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Fetch and verify the index, and store nothing",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry LIST_OPTIONS[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry NO_OPTIONS[] = {G_OPTION_ENTRY_NULL};

static GBytes *
read_keys(const Source *source, GError **error)
{
    g_auto(NetReply) reply = {0};
    g_auto(NetAccess) access = {0};
    g_autofree char *url = NULL;
    NetLimits limits;

    if (option_key != NULL)
        return file_read(option_key, SIGN_MAX_KEYS, error);
    url = net_url_join(source->uri, "keys.asc");
    if (!access_init(source, &access, &limits, error))
        return NULL;
    if (net_get(url, SIGN_MAX_KEYS, NULL, &limits, &reply, error))
        return g_steal_pointer(&reply.body);
    if (g_error_matches(*error, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        g_prefix_error(error, "the source publishes no keys, so give its public key with --key: ");
    return NULL;
}

/* The pins and, out of the keys that are offered, exactly the pinned ones. @error must not be NULL. */
static bool
take_pins(Source *source, GError **error)
{
    g_autoptr(GBytes) offered = NULL;
    g_autoptr(GByteArray) keys = g_byte_array_new();
    guint n = g_strv_length(option_fingerprints);

    g_strfreev(source->pins);
    source->pins = g_new0(char *, n + 1);
    for (guint i = 0; i < n; i++)
        if ((source->pins[i] = sign_normal_fingerprint(option_fingerprints[i], error)) == NULL)
            return false;
    offered = read_keys(source, error);
    for (guint i = 0; offered != NULL && i < n; i++) {
        g_autoptr(GBytes) key = sign_select_key(offered, source->pins[i], NULL, error);

        if (key == NULL)
            return false;
        g_byte_array_append(keys, g_bytes_get_data(key, NULL), (guint)g_bytes_get_size(key));
    }
    if (offered == NULL)
        return false;
    source->keys = g_byte_array_free_to_bytes(g_steal_pointer(&keys));
    return true;
}

/* The root keys; which keys may sign the index is what they say. @error must not be NULL. */
static bool
take_roots(Source *source, GError **error)
{
    guint n = g_strv_length(option_roots);
    g_autoptr(GBytes) offered = NULL;
    g_autoptr(GPtrArray) blocks = g_ptr_array_new();

    g_strfreev(source->roots);
    source->roots = g_new0(char *, n + 1);
    for (guint i = 0; i < n; i++) {
        char *root = sign_normal_fingerprint(option_roots[i], error);

        if (root == NULL)
            return false;
        if (g_strv_contains((const char *const *)source->roots, root)) {
            error_set_code(error, BASE_ERROR_USAGE, "--root: %s is given twice", root);
            g_free(root);
            return false;
        }
        source->roots[i] = root;
    }
    if (option_threshold < 0 || (guint)option_threshold > n)
        return error_set_code(error, BASE_ERROR_USAGE, "--threshold: 1 to %u are possible", n);
    source->threshold = option_threshold > 0 ? (unsigned)option_threshold : n;
    offered = read_keys(source, error);
    if (offered == NULL)
        return false;
    g_ptr_array_add(blocks, offered);
    source->keys = sign_merge_keys(blocks, (const char *const *)source->roots, error);
    return source->keys != NULL;
}

/* Nothing that is kept from before may speak for a source that is added now. @error must not be NULL. */
static bool
take_trust(Source *source, GError **error)
{
    if (!trust_state_forget(source->name, error))
        return false;
    if (option_roots != NULL)
        return take_roots(source, error);
    return option_unsigned || take_pins(source, error);
}

static Json *
list_json(char *const *list)
{
    Json *json = json_new_array();

    for (; *list != NULL; list++)
        json_append_text(json, *list);
    return json;
}

/* Everything but secrets, which a source only refers to. */
static Json *
source_json(const Source *source)
{
    Json *json = json_new_object();

    json_set_text(json, "name", source->name);
    json_set_text(json, "uri", source->uri);
    json_set_text(json, "format", source_format_name(source->format));
    json_set_flag(json, "enabled", source->is_enabled);
    json_set_number(json, "priority", source->priority);
    json_set_flag(json, "unsigned", source->is_unsigned);
    json_set_flag(json, "strict", source->is_strict);
    json_set(json, "fingerprints", list_json(source->pins));
    json_set(json, "roots", list_json(source->roots));
    json_set_number(json, "threshold", source->threshold);
    json_set_text(json, "repo_id", source->repo_id);
    json_set(json, "mirrors", list_json(source->mirrors));
    json_set_text(json, "proxy", source->proxy);
    json_set_text(json, "ca", source->ca);
    json_set_text(json, "client_cert", source->client_cert);
    json_set_text(json, "client_key", source->client_key);
    json_set_text(json, "credential", source->credential);
    json_set_number(json, "max_age", source_max_age(source));
    json_set_text(json, "from", source->is_fallback ? "virt-builder" : "virt-depot");
    json_set_text(json, "file", source->file);
    return json;
}

static void
report_added(const Catalogue *catalogue)
{
    const Source *source = catalogue->source;
    g_autoptr(Json) json = source_json(source);
    guint n = catalogue->opened.index->entries->len;

    json_set_number(json, "images", n);
    if (option_json)
        show_json(json);
    else
        cli_note("source '%s' %s: %u image%s%s", source->name, option_dry_run ? "would be added" : "added", n,
                 n == 1 ? "" : "s", source->is_unsigned ? ", not verified by any signature" : "");
}

static bool
check_usage(const char *name, GError **error)
{
    if (!source_is_name(name))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s': a source's name is letters, digits, '-', '_' and '.', at most 64", name);
    if (option_unsigned && (option_fingerprints != NULL || option_roots != NULL || option_key != NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "--unsigned excludes --fingerprint, --root and --key");
    if (option_fingerprints != NULL && option_roots != NULL)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--fingerprint and --root exclude each other: root keys say who may sign");
    if (option_threshold != 0 && option_roots == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--threshold goes with --root");
    if (option_roots != NULL && option_format != NULL && strcmp(option_format, "native") != 0)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--root is for repositories of virt-depot's own format");
    if (!option_unsigned && option_fingerprints == NULL && option_roots == NULL)
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "say which key signs this source with --fingerprint: its publisher prints it with "
            "'virt-depot repo init' or 'gpg --show-keys --fingerprint FILE' and should tell it by "
            "another way than the repository itself; --unsigned goes without");
    if (source_is_stored(name))
        return error_set_code(error, BASE_ERROR_EXISTS, "source '%s' is there already; remove it first",
                              name);
    return true;
}

/* What the options say of the place, not of whom to trust. */
static Source *
new_source(const char *name, const char *url, GError **error)
{
    g_autoptr(Source) source = source_new(name, NULL);
    guint n = option_mirrors == NULL ? 0 : g_strv_length(option_mirrors);

    if (option_format != NULL && !source_format_parse(option_format, &source->format, error))
        return NULL;
    if (option_priority < -SOURCE_MAX_PRIORITY || option_priority > SOURCE_MAX_PRIORITY) {
        error_set_code(error, BASE_ERROR_USAGE, "--priority: from %d to %d", -SOURCE_MAX_PRIORITY,
                       SOURCE_MAX_PRIORITY);
        return NULL;
    }
    source->priority = option_priority;
    source->is_strict = option_strict;
    source->uri = source_normal_uri(url, source->format, error);
    if (source->uri == NULL)
        return NULL;
    g_strfreev(source->mirrors);
    source->mirrors = g_new0(char *, n + 1);
    for (guint i = 0; i < n; i++)
        if ((source->mirrors[i] = source_normal_uri(option_mirrors[i], source->format, error)) == NULL)
            return NULL;
    source->proxy = g_strcmp0(option_proxy, "system") == 0 ? NULL : g_strdup(option_proxy);
    source->ca = option_ca == NULL ? NULL : g_canonicalize_filename(option_ca, NULL);
    source->client_cert =
        option_client_cert == NULL ? NULL : g_canonicalize_filename(option_client_cert, NULL);
    source->client_key = option_client_key == NULL ? NULL : g_canonicalize_filename(option_client_key, NULL);
    if (option_credential != NULL)
        source->credential = *option_credential == '@' ? g_strdup(option_credential)
                                                       : g_canonicalize_filename(option_credential, NULL);
    return source_check_access(source, error) ? g_steal_pointer(&source) : NULL;
}

static bool
run_add(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) owner = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_free);
    g_autoptr(Source) source = NULL;
    Catalogue *catalogue;

    if (!check_usage(argv[0], error) || (source = new_source(argv[0], argv[1], error)) == NULL)
        return false;
    source->is_unsigned = option_unsigned;
    if (!take_trust(source, error))
        return false;
    catalogue = catalogue_open(g_steal_pointer(&source), CATALOGUE_ASK, warnings);
    g_ptr_array_add(owner, catalogue);
    if (catalogue->failure != NULL || catalogue->refusal != NULL) {
        g_propagate_error(error,
                          g_error_copy(catalogue->failure != NULL ? catalogue->failure : catalogue->refusal));
        trust_state_forget(argv[0], NULL);
        return false;
    }
    if (option_roots != NULL) { /* what is stored is whom the user trusts, not whom they name today */
        g_strfreev(catalogue->source->pins);
        catalogue->source->pins = g_new0(char *, 1);
    }
    if (option_dry_run)
        trust_state_forget(argv[0], NULL);
    g_free(catalogue->source->repo_id);
    catalogue->source->repo_id = g_strdup(catalogue->opened.index->repo_id);
    if (!option_dry_run && !source_write(catalogue->source, error))
        return false;
    show_warnings(warnings, NULL);
    report_added(catalogue);
    return true;
}

static char *
remarks(const Source *source)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!source->is_enabled)
        g_string_append(text, "disabled ");
    if (source->format == SOURCE_STREAMS)
        g_string_append(text, "simplestreams ");
    if (source->is_fallback)
        g_string_append_printf(text, "from %s ", source->file);
    return g_strchomp(g_strdup(text->len == 0 ? "-" : text->str));
}

static void
add_row(GPtrArray *rows, const Source *source)
{
    char **row = g_new0(char *, 6);

    row[0] = g_strdup(source->name);
    row[1] = source->is_unsigned ? g_strdup("(unsigned)")
                                 : g_strjoinv(" ", *source->pins != NULL ? source->pins : source->roots);
    row[2] = g_strdup(source->uri);
    row[3] = g_strdup_printf("%d", source->priority);
    row[4] = remarks(source);
    g_ptr_array_add(rows, row);
}

static bool
run_list(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    static const char *const HEADING[] = {"NAME", "FINGERPRINT", "URL", "PRIORITY", "REMARKS", NULL};
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) sources = source_read_all(warnings);
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) list = json_new_array();

    for (guint i = 0; i < sources->len; i++) {
        const Source *source = g_ptr_array_index(sources, i);

        add_row(rows, source);
        json_append(list, source_json(source));
    }
    show_warnings(warnings, NULL);
    if (option_json)
        show_json(list);
    else
        cli_print_table(HEADING, rows);
    return true;
}

static bool
run_remove(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    return source_remove(argv[0], error);
}

const Verb FETCH_VERB_SOURCE_ADD = {
    .name = "source add",
    .arguments = "NAME URL",
    .summary = "Pull images from a repository from now on",
    .description =
        "URL is the folder of a virt-depot or virt-builder repository (http, https, file or a path), or its\n"
        "index.asc; with --format simplestreams the folder that holds streams/. The index is fetched and "
        "verified once before the source is stored.",
    .options = ADD_OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_add,
};

const Verb FETCH_VERB_SOURCE_LIST = {
    .name = "source list",
    .arguments = "",
    .summary = "List the sources and the keys that they are pinned to",
    .options = LIST_OPTIONS,
    .run = run_list,
};

const Verb FETCH_VERB_SOURCE_REMOVE = {
    .name = "source remove",
    .arguments = "NAME",
    .summary = "Forget a source; images that were pulled stay",
    .options = NO_OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_remove,
};
