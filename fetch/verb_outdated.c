// SPDX-License-Identifier: Apache-2.0
/* virt-depot outdated and upgrade: the images of this host that have newer revisions. */
#include "fetch/fetch.h"
#include "fetch/outdated.h"
#include "fetch/pull.h"
#include "fetch/show.h"

#include <stdio.h>
#include <string.h>

static gboolean option_strict, option_json, option_dry_run, option_offline;

static const GOptionEntry OUTDATED_OPTIONS[] = {
    {"offline", 0, 0, G_OPTION_ARG_NONE, &option_offline, "From the last indexes, without asking any server",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry UPGRADE_OPTIONS[] = {
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be downloaded, and do nothing",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &option_strict,
     "Unpack nothing before the digest of its whole file is known to be right", NULL},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    GPtrArray *recorded;
    GPtrArray *catalogues;
    GPtrArray *found; /* (element-type Outdated) */
} Look;

static void
look_clear(Look *look)
{
    g_clear_pointer(&look->found, g_ptr_array_unref);
    g_clear_pointer(&look->catalogues, g_ptr_array_unref);
    g_clear_pointer(&look->recorded, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Look, look_clear)

static bool
look(Look *look, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    look->recorded = record_list();
    look->catalogues =
        catalogue_open_all(NULL, option_offline ? CATALOGUE_OFFLINE : CATALOGUE_ASK, warnings, error);
    show_warnings(warnings, NULL);
    if (look->catalogues == NULL)
        return false;
    look->found = outdated_find(look->recorded, look->catalogues);
    return true;
}

static Json *
to_json(const Outdated *outdated)
{
    Json *json = show_entry_json(outdated->catalogue->source, outdated->entry);

    json_set_number(json, "have_revision", (int64_t)MIN(outdated->have, G_MAXINT64));
    return json;
}

static void
add_row(GPtrArray *rows, const Outdated *outdated)
{
    const IndexEntry *entry = outdated->entry;
    char **row = g_new0(char *, 7);

    row[0] = g_strdup(entry->name);
    row[1] = g_strdup(entry->arch);
    row[2] = g_strdup_printf("%" G_GUINT64_FORMAT, outdated->have);
    row[3] = g_strdup_printf("%" G_GUINT64_FORMAT, entry->revision);
    row[4] = entry->compressed_size == 0 ? g_strdup("-") : cli_format_size(entry->compressed_size);
    row[5] = g_strdup(outdated->catalogue->source->name);
    g_ptr_array_add(rows, row);
}

static void
print_found(const GPtrArray *found)
{
    static const char *const HEADING[] = {"NAME", "ARCH", "HAVE", "NEW", "DOWNLOAD", "SOURCE", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) list = json_new_array();

    for (guint i = 0; i < found->len; i++) {
        if (option_json)
            json_append(list, to_json(g_ptr_array_index(found, i)));
        else
            add_row(rows, g_ptr_array_index(found, i));
    }
    if (option_json)
        show_json(list);
    else if (found->len > 0)
        cli_print_table(HEADING, rows);
}

static bool
run_outdated(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
    g_auto(Look) seen = {0};

    if (!look(&seen, error))
        return false;
    print_found(seen.found);
    if (seen.found->len == 0)
        cli_note("nothing that was pulled has a newer revision");
    return true;
}

/* ---- upgrade ---- */

static bool
is_named(const Outdated *outdated, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        g_autofree char *source = NULL, *name = NULL;

        if (catalogue_split_ref(argv[i], &source, &name, NULL) && strcmp(name, outdated->entry->name) == 0 &&
            (source == NULL || strcmp(source, outdated->catalogue->source->name) == 0))
            return true;
    }
    return argc == 0;
}

/* Every name must be one that was pulled: a wrong one would look like an image that is up to date. */
static bool
check_names(const GPtrArray *recorded, int argc, char **argv, GError **error)
{
    for (int i = 0; i < argc; i++) {
        g_autofree char *source = NULL, *name = NULL;
        bool is_there = false;

        if (!catalogue_split_ref(argv[i], &source, &name, error))
            return false;
        for (guint k = 0; k < recorded->len && !is_there; k++) {
            const Recorded *have = g_ptr_array_index(recorded, k);

            is_there =
                strcmp(have->entry->name, name) == 0 && (source == NULL || strcmp(source, have->source) == 0);
        }
        if (!is_there)
            return error_set_code(error, BASE_ERROR_NOT_FOUND,
                                  "%s: no such image was pulled on this host; 'virt-depot pull' does",
                                  argv[i]);
    }
    return true;
}

static bool
upgrade(const Outdated *outdated, Json *list, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(FetchImage) image =
        pull_entry(outdated->catalogue, outdated->entry, &(PullWish){0}, warnings, error);
    Json *json;

    show_warnings(warnings, NULL);
    if (image == NULL)
        return false;
    if (!option_json) {
        puts(image->path);
        return true;
    }
    json = to_json(outdated);
    json_set_text(json, "path", image->path);
    json_append(list, json);
    return true;
}

static bool
run_upgrade(int argc, char **argv, GError **error)
{
    g_auto(Look) seen = {0};
    g_autoptr(Json) list = json_new_array();

    fetch_set_strict(option_strict);
    if (!look(&seen, error) || !check_names(seen.recorded, argc, argv, error))
        return false;
    for (guint i = seen.found->len; i-- > 0;)
        if (!is_named(g_ptr_array_index(seen.found, i), argc, argv))
            g_ptr_array_remove_index(seen.found, i);
    if (seen.found->len == 0)
        cli_note("nothing that was pulled has a newer revision");
    if (option_dry_run) {
        print_found(seen.found);
        return true;
    }
    for (guint i = 0; i < seen.found->len; i++)
        if (!upgrade(g_ptr_array_index(seen.found, i), list, error))
            return false;
    if (option_json)
        show_json(list);
    return true;
}

const Verb FETCH_VERB_OUTDATED = {
    .name = "outdated",
    .arguments = "",
    .summary = "List the images of this host that have newer revisions",
    .options = OUTDATED_OPTIONS,
    .run = run_outdated,
};

const Verb FETCH_VERB_UPGRADE = {
    .name = "upgrade",
    .arguments = "[IMAGE...]",
    .summary = "Pull the newer revisions of images that were pulled before",
    .description = "IMAGE is NAME or SOURCE/NAME; without any, all. The older revisions stay in the cache.",
    .options = UPGRADE_OPTIONS,
    .max_arguments = -1,
    .run = run_upgrade,
};
