// SPDX-License-Identifier: Apache-2.0
/* virt-depot pull: images into the cache. */
#include "fetch/fetch.h"
#include "fetch/pull.h"
#include "fetch/show.h"
#include "net/net.h"

#include <stdio.h>

static char *option_arch;
static gboolean option_json, option_dry_run, option_downgrade;

static const GOptionEntry OPTIONS[] = {
    {"allow-downgrade", 0, 0, G_OPTION_ARG_NONE, &option_downgrade,
     "Take an older revision of an image than was pulled before", NULL},
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture instead of this host's", "ARCH"},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be downloaded, and do nothing",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    const Catalogue *catalogue;
    const IndexEntry *entry;
} Wanted;

static void
append_json(Json *list, const Wanted *wanted, const FetchImage *image)
{
    Json *json = show_entry_json(wanted->catalogue->source, wanted->entry);

    json_set_text(json, "path", image == NULL ? NULL : image->path);
    json_set_text(json, "image_format", image == NULL ? NULL : disk_format_name(image->format));
    json_append(list, json);
}

static void
print_plan(const Wanted *wanted)
{
    g_autoptr(FetchImage) cached = pull_cached(wanted->catalogue->source->name, wanted->entry);
    g_autofree char *url = net_url_join(wanted->catalogue->uri, wanted->entry->file);
    g_autofree char *size = wanted->entry->compressed_size == 0
                                ? g_strdup("an unknown size")
                                : cli_format_size(wanted->entry->compressed_size);

    if (cached != NULL)
        printf("%s/%s: in the cache: %s\n", wanted->catalogue->source->name, wanted->entry->name,
               cached->path);
    else
        printf("%s/%s: would download %s from %s\n", wanted->catalogue->source->name, wanted->entry->name,
               size, url);
}

/* What a dry run can tell: nothing that would be refused for its index is promised. */
static bool
plan(const Wanted *wanted, Json *list, GError **error)
{
    if (!pull_check(wanted->catalogue, wanted->entry, option_downgrade, error))
        return false;
    if (option_json) {
        g_autoptr(FetchImage) cached = pull_cached(wanted->catalogue->source->name, wanted->entry);

        append_json(list, wanted, cached);
    } else {
        print_plan(wanted);
    }
    return true;
}

static bool
pull(const Wanted *wanted, Json *list, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(FetchImage) image =
        pull_entry(wanted->catalogue, wanted->entry, option_downgrade, warnings, error);

    show_warnings(warnings, NULL);
    if (image == NULL)
        return false;
    if (option_json)
        append_json(list, wanted, image);
    else
        puts(image->path);
    return true;
}

/* Every name is understood before anything is downloaded. */
static bool
find_all(int argc, char **argv, GPtrArray *catalogues, Wanted *wanted, GError **error)
{
    g_autofree char *arch =
        option_arch == NULL ? catalogue_host_arch() : g_strdup(index_normal_arch(option_arch));

    for (int i = 0; i < argc; i++)
        if ((wanted[i].entry = catalogue_find(catalogues, argv[i], arch, &wanted[i].catalogue, error)) ==
            NULL)
            return false;
    return true;
}

static bool
check_names(int argc, char **argv, GError **error)
{
    for (int i = 0; i < argc; i++) {
        g_autofree char *source = NULL, *name = NULL;

        if (!catalogue_split_ref(argv[i], &source, &name, error))
            return false;
    }
    return true;
}

/* The one source that all of the images are asked from, or NULL: then the others need not be bothered. */
static char *
common_source(int argc, char **argv)
{
    g_autofree char *common = NULL;

    for (int i = 0; i < argc; i++) {
        g_autofree char *source = NULL, *name = NULL;

        if (!catalogue_split_ref(argv[i], &source, &name, NULL) || source == NULL ||
            (common != NULL && g_strcmp0(common, source) != 0))
            return NULL;
        g_free(common);
        common = g_steal_pointer(&source);
    }
    return g_steal_pointer(&common);
}

static bool
run(int argc, char **argv, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free), catalogues = NULL;
    g_autofree Wanted *wanted = g_new0(Wanted, (gsize)argc);
    g_autofree char *source = NULL;
    g_autoptr(Json) list = json_new_array();
    bool is_ok;

    if (!check_names(argc, argv, error))
        return false;
    source = common_source(argc, argv);
    catalogues = catalogue_open_all(source, CATALOGUE_ASK, warnings, error);
    is_ok = catalogues != NULL && find_all(argc, argv, catalogues, wanted, error);
    show_warnings(warnings, NULL);
    for (int i = 0; is_ok && i < argc; i++)
        is_ok = (option_dry_run ? plan : pull)(&wanted[i], list, error);
    if (option_json && is_ok)
        show_json(list);
    return is_ok;
}

const Verb FETCH_VERB_PULL = {
    .name = "pull",
    .arguments = "IMAGE...",
    .summary = "Download, verify and unpack images into the cache",
    .description = "IMAGE is NAME or SOURCE/NAME. Prints the path of each image.",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
