// SPDX-License-Identifier: Apache-2.0
/* virt-depot list: what the sources offer. */
#include "fetch/fetch.h"
#include "fetch/show.h"

#include <string.h>

static char *option_source;
static gboolean option_json, option_offline, option_refresh, option_strict;

static const GOptionEntry OPTIONS[] = {
    {"source", 0, 0, G_OPTION_ARG_STRING, &option_source, "Only what this source offers", "NAME"},
    {"offline", 0, 0, G_OPTION_ARG_NONE, &option_offline, "From the last indexes, without asking any server",
     NULL},
    {"refresh", 0, 0, G_OPTION_ARG_NONE, &option_refresh, "Ask the servers, however recently they were asked",
     NULL},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &option_strict,
     "Fail where any source or any entry of one has a problem", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
add_row(GPtrArray *rows, const Source *source, const IndexEntry *entry)
{
    char **row = g_new0(char *, 7);

    row[0] = g_strdup(entry->name);
    row[1] = g_strdup(entry->arch);
    row[2] = entry->size == 0 ? g_strdup("-") : cli_format_size(entry->size);
    row[3] = g_strdup_printf("%" G_GUINT64_FORMAT, entry->revision);
    row[4] = g_strdup(source->name);
    row[5] = g_strdup(entry->title == NULL ? "-" : entry->title);
    g_ptr_array_add(rows, row);
}

/* Every source failed: then listing did. Distrust tells more than absence. */
static const GError *
total_failure(const GPtrArray *catalogues)
{
    const GError *failure = NULL;

    for (guint i = 0; i < catalogues->len; i++) {
        const Catalogue *catalogue = g_ptr_array_index(catalogues, i);

        if (catalogue->failure == NULL)
            return NULL;
        if (failure == NULL || g_error_matches(catalogue->failure, BASE_ERROR, BASE_ERROR_UNTRUSTED))
            failure = catalogue->failure;
    }
    return failure;
}

/* The first problem of any source or entry, in one sentence. */
static bool
check_strictly(const GPtrArray *catalogues, const GPtrArray *warnings, GError **error)
{
    for (guint i = 0; i < catalogues->len; i++) {
        const Catalogue *catalogue = g_ptr_array_index(catalogues, i);
        const GPtrArray *problems = catalogue->opened.problems;
        const GError *reason = catalogue->failure != NULL ? catalogue->failure : catalogue->refusal;

        if (reason != NULL)
            return error_set(error, "--strict: %s", reason->message);
        if (problems != NULL && problems->len > 0)
            return error_set(error, "--strict: source '%s' has %u bad entr%s", catalogue->source->name,
                             problems->len, problems->len == 1 ? "y" : "ies");
    }
    return warnings->len == 0 ||
           error_set(error, "--strict: %s", (const char *)g_ptr_array_index(warnings, 0));
}

static void
print_catalogues(const GPtrArray *catalogues)
{
    static const char *const HEADING[] = {"NAME", "ARCH", "SIZE", "REVISION", "SOURCE", "TITLE", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) list = json_new_array();

    for (guint i = 0; i < catalogues->len; i++) {
        const Catalogue *catalogue = g_ptr_array_index(catalogues, i);
        const GPtrArray *entries = catalogue->opened.index == NULL ? NULL : catalogue->opened.index->entries;

        for (guint k = 0; entries != NULL && k < entries->len; k++) {
            const IndexEntry *entry = g_ptr_array_index(entries, k);

            if (entry->is_hidden)
                continue;
            if (option_json)
                json_append(list, show_entry_json(catalogue->source, entry));
            else
                add_row(rows, catalogue->source, entry);
        }
    }
    if (option_json)
        show_json(list);
    else
        cli_print_table(HEADING, rows);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    CatalogueMode mode = option_offline   ? CATALOGUE_OFFLINE
                         : option_refresh ? CATALOGUE_ASK
                                          : CATALOGUE_RECENT;
    g_autoptr(GPtrArray) catalogues = catalogue_open_all(option_source, mode, warnings, error);
    const GError *failure = catalogues == NULL ? *error : total_failure(catalogues);

    show_warnings(warnings, failure);
    if (catalogues == NULL)
        return false;
    if (failure != NULL) {
        g_propagate_error(error, g_error_copy(failure));
        return false;
    }
    if (catalogues->len == 0)
        cli_note("there are no sources; see virt-depot-source-add(1)");
    print_catalogues(catalogues);
    return !option_strict || check_strictly(catalogues, warnings, error);
}

const Verb FETCH_VERB_LIST = {
    .name = "list",
    .arguments = "",
    .summary = "List the images that the sources offer",
    .options = OPTIONS,
    .run = run,
};
