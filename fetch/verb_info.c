// SPDX-License-Identifier: Apache-2.0
/* virt-depot info: everything about one image. */
#include "fetch/fetch.h"
#include "fetch/pull.h"
#include "fetch/reuse.h"
#include "fetch/show.h"

#include <stdio.h>
#include <sys/stat.h>

static char *option_arch;
static gboolean option_json, option_offline, option_refresh;

static const GOptionEntry OPTIONS[] = {
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture instead of this host's", "ARCH"},
    {"offline", 0, 0, G_OPTION_ARG_NONE, &option_offline, "From the last indexes, without asking any server",
     NULL},
    {"refresh", 0, 0, G_OPTION_ARG_NONE, &option_refresh, "Ask the servers, however recently they were asked",
     NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
print_field(const char *label, const char *value)
{
    g_autofree char *safe = value == NULL ? NULL : cli_safe(value);

    if (safe != NULL)
        printf("%-16s %s\n", label, safe);
}

/* The notes in the user's language, line by line: a whole text through cli_safe() would lose its lines. */
static void
print_notes(const IndexEntry *entry)
{
    const char *note = index_entry_note(entry, g_get_language_names());
    g_auto(GStrv) lines = note == NULL ? NULL : g_strsplit(note, "\n", -1);

    for (char **line = lines; line != NULL && *line != NULL; line++) {
        g_autofree char *safe = cli_safe(*line);

        printf("%s%s\n", line == lines ? "\n" : "", safe);
    }
}

/* on_disk: what the cached image takes, in bytes; 0 where that is not known. */
static uint64_t
on_disk(const FetchImage *cached)
{
    struct stat status;

    return cached != NULL && stat(cached->path, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

/* What a pull would take from this host. */
static bool
find_way(const IndexEntry *entry, const FetchImage *cached, ReuseWay *out_way, uint64_t *out_revision)
{
    if (cached != NULL || !reuse_find_way(entry, out_way))
        return false;
    *out_revision = g_array_index(out_way->deltas, IndexDelta, 0).revision;
    return true;
}

static void
print_here(const IndexEntry *entry, const FetchImage *cached)
{
    uint64_t bytes = on_disk(cached);
    g_autofree char *taken = bytes == 0 ? NULL : cli_format_size(bytes), *size = NULL, *text = NULL;
    g_auto(ReuseWay) way = {0};
    uint64_t revision;

    if (find_way(entry, cached, &way, &revision)) {
        size = cli_format_size(way.size);
        text = g_strdup_printf("%s from revision %" G_GUINT64_FORMAT ", which is here", size, revision);
    }
    print_field("Delta", text);
    print_field("On disk", taken);
}

/* @packed: the size of the file that everybody can read */
static char *
with_twin(const IndexEntry *entry, const char *packed)
{
    const char *twin = index_entry_extension(entry, INDEX_ZSTD "_size");
    g_autofree char *size = NULL;
    uint64_t bytes;

    if (packed == NULL || twin == NULL || !g_ascii_string_to_unsigned(twin, 10, 1, G_MAXINT64, &bytes, NULL))
        return g_strdup(packed);
    size = cli_format_size(bytes);
    return g_strdup_printf("%s, or %s as zstd where the link is faster than xz", packed, size);
}

static void
print_plain(const Catalogue *catalogue, const IndexEntry *entry, const FetchImage *cached)
{
    const DoorIndex *opened = &catalogue->opened;
    g_autofree char *revision = g_strdup_printf("%" G_GUINT64_FORMAT, entry->revision);
    g_autofree char *size =
        entry->size == 0 ? g_strdup("unknown until it is pulled") : cli_format_size(entry->size);
    g_autofree char *packed = entry->compressed_size == 0 ? NULL : cli_format_size(entry->compressed_size);
    g_autofree char *download = with_twin(entry, packed);
    g_autofree char *aliases = entry->aliases == NULL ? NULL : g_strjoinv(" ", entry->aliases);
    g_autofree char *signed_at = cli_format_time(opened->signed_at);
    g_autofree char *sig_expires = cli_format_time(opened->sig_expires);
    g_autofree char *expires = cli_format_time(opened->index->expires);

    print_field("Name", entry->name);
    print_field("Title", entry->title);
    print_field("Source", catalogue->source->name);
    print_field("Architecture", entry->arch);
    print_field("Revision", revision);
    print_field("OS", entry->osinfo);
    print_field("Size", size);
    print_field("Download", download);
    print_field("Format", entry->format);
    print_field("File", entry->file);
    print_field("SHA-512", entry->sha512);
    print_field("SHA-256", entry->sha256);
    print_field("Expand", entry->expand);
    print_field("LV expand", entry->lvexpand);
    print_field("Aliases", aliases);
    print_field("Hidden", entry->is_hidden ? "yes" : NULL);
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);

        print_field(field->key, field->value);
    }
    print_field("Signed by", opened->fingerprint == NULL ? "nobody (unsigned source)" : opened->fingerprint);
    print_field("Signed at", signed_at);
    print_field("Signature until", sig_expires);
    print_field("Index until", expires);
    print_here(entry, cached);
    print_field("Cached", cached == NULL ? "no" : cached->path);
    print_notes(entry);
}

static void
print_json(const Catalogue *catalogue, const IndexEntry *entry, const FetchImage *cached)
{
    const DoorIndex *opened = &catalogue->opened;
    g_autoptr(Json) json = show_entry_json(catalogue->source, entry);
    g_auto(ReuseWay) way = {0};
    uint64_t revision = 0;
    bool has_way = find_way(entry, cached, &way, &revision);

    json_set_text(json, "fingerprint", opened->fingerprint);
    json_set_number(json, "signed_at", opened->signed_at);
    json_set_number(json, "signature_expires", opened->sig_expires);
    json_set_number(json, "index_version", (int64_t)opened->index->version);
    json_set_number(json, "index_expires", opened->index->expires);
    json_set_flag(json, "pullable", catalogue->refusal == NULL);
    json_set_text(json, "cached", cached == NULL ? NULL : cached->path);
    json_set_count(json, "on_disk", on_disk(cached));
    json_set_count(json, "delta_size", has_way ? way.size : 0);
    json_set_count(json, "delta_from_revision", revision);
    show_json(json);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free), catalogues = NULL;
    g_autofree char *source = NULL, *name = NULL;
    g_autofree char *arch =
        option_arch == NULL ? catalogue_host_arch() : g_strdup(index_normal_arch(option_arch));
    g_autoptr(FetchImage) cached = NULL;
    const Catalogue *catalogue;
    const IndexEntry *entry = NULL;

    if (!catalogue_split_ref(argv[0], &source, &name, error))
        return false;
    catalogues = catalogue_open_all(source,
                                    option_offline   ? CATALOGUE_OFFLINE
                                    : option_refresh ? CATALOGUE_ASK
                                                     : CATALOGUE_RECENT,
                                    warnings, error);
    if (catalogues != NULL)
        entry = catalogue_find(catalogues, argv[0], arch, &catalogue, error);
    show_warnings(warnings, NULL);
    if (entry == NULL)
        return false;
    cached = pull_cached(catalogue->source->name, entry);
    (option_json ? print_json : print_plain)(catalogue, entry, cached);
    return true;
}

const Verb FETCH_VERB_INFO = {
    .name = "info",
    .arguments = "IMAGE",
    .summary = "Show all that is known of an image",
    .description = "IMAGE is NAME or SOURCE/NAME.",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
