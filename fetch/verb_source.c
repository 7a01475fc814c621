// SPDX-License-Identifier: Apache-2.0
/* virt-depot source add, list and remove. */
#include "base/file.h"
#include "fetch/fetch.h"
#include "fetch/show.h"
#include "net/net.h"
#include "sign/sign.h"

#include <stdio.h>
#include <string.h>

static char **option_fingerprints;
static char *option_key;
static gboolean option_unsigned, option_json;

static const GOptionEntry ADD_OPTIONS[] = {
    {"fingerprint", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_fingerprints,
     "Trust an index signed by this key: 40 hex digits; may be repeated", "FPR"},
    {"key", 0, 0, G_OPTION_ARG_FILENAME, &option_key,
     "Public keys to choose from, instead of the source's keys.asc", "FILE"},
    {"unsigned", 0, 0, G_OPTION_ARG_NONE, &option_unsigned, "Believe the source without any signature", NULL},
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
    g_autofree char *url = NULL;
    NetLimits limits;

    if (option_key != NULL)
        return file_read(option_key, SIGN_MAX_KEYS, error);
    url = net_url_join(source->uri, "keys.asc");
    net_limits_init(&limits);
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

static void
report_added(const Catalogue *catalogue)
{
    const Source *source = catalogue->source;
    g_autoptr(Json) json = json_new_object();
    Json *pins = json_new_array();
    guint n = catalogue->opened.index->entries->len;

    for (char **pin = source->pins; *pin != NULL; pin++)
        json_append_text(pins, *pin);
    json_set_text(json, "name", source->name);
    json_set_text(json, "uri", source->uri);
    json_set_flag(json, "unsigned", source->is_unsigned);
    json_set(json, "fingerprints", pins);
    json_set_text(json, "repo_id", source->repo_id);
    json_set_number(json, "images", n);
    if (option_json)
        show_json(json);
    else
        cli_note("source '%s' added: %u image%s%s", source->name, n, n == 1 ? "" : "s",
                 source->is_unsigned ? ", not verified by any signature" : "");
}

static bool
check_usage(const char *name, GError **error)
{
    g_autoptr(Source) existing = NULL;

    if (!source_is_name(name))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s': a source's name is letters, digits, '-', '_' and '.', at most 64", name);
    if (option_unsigned && (option_fingerprints != NULL || option_key != NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "--unsigned excludes --fingerprint and --key");
    if (!option_unsigned && option_fingerprints == NULL)
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "say which key signs this source with --fingerprint: its publisher prints it with "
            "'virt-depot repo init' or 'gpg --show-keys --fingerprint FILE' and should tell it by "
            "another way than the repository itself; --unsigned goes without");
    existing = source_read(name, NULL);
    if (existing != NULL)
        return error_set_code(error, BASE_ERROR_EXISTS, "source '%s' is there already; remove it first",
                              name);
    return true;
}

static bool
run_add(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) owner = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_free);
    g_autoptr(Source) source = NULL;
    g_autofree char *uri = NULL;
    Catalogue *catalogue;

    if (!check_usage(argv[0], error) || (uri = source_normal_uri(argv[1], error)) == NULL)
        return false;
    source = source_new(argv[0], uri);
    source->is_unsigned = option_unsigned;
    if (!option_unsigned && !take_pins(source, error))
        return false;
    catalogue = catalogue_open(g_steal_pointer(&source), false, warnings);
    g_ptr_array_add(owner, catalogue);
    if (catalogue->failure != NULL || catalogue->refusal != NULL) {
        g_propagate_error(error,
                          g_error_copy(catalogue->failure != NULL ? catalogue->failure : catalogue->refusal));
        return false;
    }
    catalogue->source->repo_id = g_strdup(catalogue->opened.index->repo_id);
    if (!source_write(catalogue->source, error))
        return false;
    show_warnings(warnings, NULL);
    report_added(catalogue);
    return true;
}

static void
add_row(GPtrArray *rows, const Source *source)
{
    char **row = g_new0(char *, 4);

    row[0] = g_strdup(source->name);
    row[1] = source->is_unsigned ? g_strdup("(unsigned)") : g_strjoinv(" ", source->pins);
    row[2] = g_strdup(source->uri);
    g_ptr_array_add(rows, row);
}

static bool
run_list(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    static const char *const HEADING[] = {"NAME", "FINGERPRINT", "URL", NULL};
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) sources = source_read_all(warnings);
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) list = json_new_array();

    for (guint i = 0; i < sources->len; i++) {
        const Source *source = g_ptr_array_index(sources, i);
        Json *json = json_new_object(), *pins = json_new_array();

        add_row(rows, source);
        for (char **pin = source->pins; *pin != NULL; pin++)
            json_append_text(pins, *pin);
        json_set_text(json, "name", source->name);
        json_set_text(json, "uri", source->uri);
        json_set_flag(json, "unsigned", source->is_unsigned);
        json_set(json, "fingerprints", pins);
        json_set_text(json, "repo_id", source->repo_id);
        json_append(list, json);
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
        "index.asc. The index is fetched and verified once before the source is stored.",
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
