// SPDX-License-Identifier: Apache-2.0
/* virt-depot pull: images into the cache. */
#include "fetch/fetch.h"
#include "fetch/output.h"
#include "fetch/pull.h"
#include "fetch/show.h"
#include "net/net.h"

#include <stdio.h>

static char *option_arch, *option_codec, *option_output, *option_format;
static gboolean option_strict, option_all, option_force, option_json, option_dry_run, option_downgrade,
    option_offline;

static PullWish wish;

static const GOptionEntry OPTIONS[] = {
    {"all", 0, 0, G_OPTION_ARG_NONE, &option_all, "Every image that the sources offer for the architecture",
     NULL},
    {"allow-downgrade", 0, 0, G_OPTION_ARG_NONE, &option_downgrade,
     "Take an older revision of an image than was pulled before", NULL},
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture instead of this host's", "ARCH"},
    {"codec", 0, 0, G_OPTION_ARG_STRING, &option_codec,
     "auto (default: the one that is sooner there), xz or zstd, where an image is published in both",
     "CODEC"},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be downloaded, and do nothing",
     NULL},
    {"offline", 0, 0, G_OPTION_ARG_NONE, &option_offline,
     "Only what is in the cache, by the last verified index, without asking any server", NULL},
    {"force", 0, 0, G_OPTION_ARG_NONE, &option_force,
     "With --output: replace a file, overwrite a device that is not empty", NULL},
    {"format", 0, 0, G_OPTION_ARG_STRING, &option_format,
     "With --output: raw or qcow2 instead of what was published", "FORMAT"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &option_strict,
     "Unpack nothing before the digest of its whole file is known to be right", NULL},
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &option_output,
     "Write the image to this file or block device, or - for standard output, instead of the cache", "PATH"},
    G_OPTION_ENTRY_NULL,
};

static FetchOutput output = {.device = -1};

typedef struct {
    const Catalogue *catalogue;
    const IndexEntry *entry;
} Wanted;

static void
append_json(Json *list, const Wanted *wanted, const char *path, const char *format, const FetchCost *cost)
{
    Json *json = show_entry_json(wanted->catalogue->source, wanted->entry);

    json_set_text(json, "path", path);
    json_set_text(json, "image_format", format);
    if (cost != NULL) {
        json_set_count(json, "fetched_xz", cost->xz);
        json_set_count(json, "fetched_zstd", cost->zstd);
        json_set_text(json, "codec_reason", cost->why);
    }
    json_append(list, json);
}

static void
append_image(Json *list, const Wanted *wanted, const FetchImage *image)
{
    append_json(list, wanted, image == NULL ? NULL : image->path,
                image == NULL ? NULL : disk_format_name(image->format), image == NULL ? NULL : &image->cost);
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
    if (option_output != NULL)
        printf("%s/%s: would be written to %s\n", wanted->catalogue->source->name, wanted->entry->name,
               output.name);
}

/* What a dry run can tell: nothing that would be refused for its index is promised. */
static bool
plan(const Wanted *wanted, Json *list, GError **error)
{
    if (!pull_check(wanted->catalogue, wanted->entry, option_downgrade, error))
        return false;
    if (option_json) {
        g_autoptr(FetchImage) cached = pull_cached(wanted->catalogue->source->name, wanted->entry);

        append_image(list, wanted, cached);
    } else {
        print_plan(wanted);
    }
    return true;
}

static void
note_codec(const FetchImage *image)
{
    g_autofree char *xz = cli_format_size(image->cost.xz), *zstd = cli_format_size(image->cost.zstd);

    if (image->cost.why != NULL)
        cli_note("%s: fetched %s as xz and %s as zstd: %s", image->entry->name, xz, zstd, image->cost.why);
}

static bool
pull(const Wanted *wanted, Json *list, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(FetchImage) image = pull_entry(wanted->catalogue, wanted->entry, &wish, warnings, error);

    show_warnings(warnings, NULL);
    if (image == NULL)
        return false;
    if (option_json)
        append_image(list, wanted, image);
    else
        puts(image->path);
    if (!option_json)
        note_codec(image);
    return true;
}

static bool
pull_to_output(const Wanted *wanted, Json *list, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    FetchCost cost = {0};
    DiskFormat format;
    bool is_ok =
        output_pull(&output, wanted->catalogue, wanted->entry, &wish, warnings, &format, &cost, error);

    show_warnings(warnings, NULL);
    if (is_ok && option_json)
        append_json(list, wanted, output.path, disk_format_name(format), &cost);
    else if (is_ok && output.kind != FETCH_OUTPUT_STDOUT)
        puts(output.path);
    g_free(cost.why);
    return is_ok;
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

/* all_names: (transfer full) what is in any list, each name once. */
static char **
all_names(const GPtrArray *catalogues)
{
    g_autofree char *arch =
        option_arch == NULL ? catalogue_host_arch() : g_strdup(index_normal_arch(option_arch));
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < catalogues->len; i++) {
        const Catalogue *catalogue = g_ptr_array_index(catalogues, i);
        const GPtrArray *entries = catalogue->opened.index == NULL ? NULL : catalogue->opened.index->entries;

        for (guint k = 0; entries != NULL && k < entries->len; k++) {
            const IndexEntry *entry = g_ptr_array_index(entries, k);

            if (!entry->is_hidden && g_strcmp0(index_normal_arch(entry->arch), arch) == 0 &&
                g_hash_table_add(seen, entry->name))
                g_ptr_array_add(names, g_strdup(entry->name));
        }
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
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
handle(GPtrArray *catalogues, int argc, char **argv, GError **error)
{
    g_autofree Wanted *wanted = g_new0(Wanted, (gsize)MAX(argc, 1));
    g_autoptr(Json) list = json_new_array();

    if (!find_all(argc, argv, catalogues, wanted, error))
        return false;
    for (int i = 0; i < argc; i++)
        if (!(option_dry_run ? plan : option_output != NULL ? pull_to_output : pull)(&wanted[i], list, error))
            return false;
    if (option_json)
        show_json(list);
    return true;
}

/* Before any server is asked. */
static bool
check_output(int argc, GError **error)
{
    if (option_output == NULL)
        return (option_format == NULL && !option_force) ||
               error_set_code(error, BASE_ERROR_USAGE, "--format and --force go with --output");
    if (argc != 1)
        return error_set_code(error, BASE_ERROR_USAGE, "--output takes one image");
    if (!fetch_output_open(option_output, option_format, option_force, &output, error))
        return false;
    return output.kind != FETCH_OUTPUT_STDOUT || !option_json || option_dry_run ||
           error_set_code(error, BASE_ERROR_USAGE,
                          "--json and '--output -' cannot both write to standard output");
}

static bool
find_and_pull(int argc, char **argv, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free), catalogues = NULL;
    g_auto(GStrv) names = NULL;
    g_autofree char *source = NULL;

    if (option_all != (argc == 0))
        return error_set_code(error, BASE_ERROR_USAGE, "either images or --all is expected");
    wish.may_downgrade = option_downgrade;
    if ((option_codec != NULL && !codec_wish_parse(option_codec, &wish.codec, error)) ||
        !check_names(argc, argv, error) || !check_output(argc, error))
        return false;
    fetch_set_strict(option_strict);
    source = common_source(argc, argv);
    catalogues =
        catalogue_open_all(source, option_offline ? CATALOGUE_OFFLINE : CATALOGUE_ASK, warnings, error);
    show_warnings(warnings, NULL);
    if (catalogues == NULL)
        return false;
    if (!option_all)
        return handle(catalogues, argc, argv, error);
    names = all_names(catalogues);
    return handle(catalogues, (int)g_strv_length(names), names, error);
}

static bool
run(int argc, char **argv, GError **error)
{
    bool is_ok = find_and_pull(argc, argv, error);

    fetch_output_clear(&output);
    return is_ok;
}

const Verb FETCH_VERB_PULL = {
    .name = "pull",
    .arguments = "[IMAGE...]",
    .summary = "Download, verify and unpack images into the cache",
    .description = "IMAGE is NAME or SOURCE/NAME. Prints the path of each image.",
    .options = OPTIONS,
    .max_arguments = -1,
    .run = run,
};
