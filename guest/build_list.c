// SPDX-License-Identifier: Apache-2.0
/*
 * The texts follow list_entries.ml of virt-builder 1.48, so that scripts which parse them go on working. Control characters,
 * which virt-builder passes on to the terminal, are shown as \xNN.
 */
#include "guest/build_list.h"

#include "base/json.h"

#include <string.h>

bool
build_list_format_parse(const char *text, BuildListFormat *out_format, GError **error)
{
    static const char *const NAMES[] = {
        [BUILD_LIST_SHORT] = "short", [BUILD_LIST_LONG] = "long", [BUILD_LIST_JSON] = "json"};

    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++)
        if (strcmp(text, NAMES[i]) == 0) {
            *out_format = i;
            return true;
        }
    return error_set_code(error, BASE_ERROR_USAGE, "--list-format '%s': short, long or json is expected",
                          text);
}

char *
build_list_size(uint64_t bytes)
{
    static const char UNITS[] = "KMG";
    double size = (double)bytes;

    if (bytes < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
    for (unsigned i = 0; i < sizeof UNITS - 1; i++) {
        size /= 1024;
        bytes /= 1024;
        if (bytes < 1024 || UNITS[i + 1] == '\0')
            return g_strdup_printf("%.1f%c", size, UNITS[i]);
    }
    g_assert_not_reached();
}

static void
add_line(GString *text, const char *key, const char *value)
{
    g_autofree char *safe = cli_safe(value);

    g_string_append_printf(text, "%-24s %s\n", key, safe);
}

/* Line by line: the whole through cli_safe() would lose its lines. */
static void
add_note(GString *text, const char *note)
{
    g_auto(GStrv) lines = g_strsplit(note, "\n", -1);

    for (char **line = lines; *line != NULL; line++) {
        g_autofree char *safe = **line == '\0' ? g_strdup("") : cli_safe(*line);

        g_string_append_printf(text, "%s\n", safe);
    }
}

static void
add_short(GString *text, const IndexEntry *entry)
{
    g_autofree char *title = entry->title == NULL ? NULL : cli_safe(entry->title);

    g_string_append_printf(text, "%-24s %-10s%s%s\n", entry->name, entry->arch, title == NULL ? "" : " ",
                           title == NULL ? "" : title);
}

static void
add_long(GString *text, const IndexEntry *entry, const char *const *languages)
{
    const char *note = index_entry_note(entry, languages);
    g_autofree char *size = build_list_size(entry->size),
                    *download = entry->compressed_size == 0 ? NULL : build_list_size(entry->compressed_size),
                    *aliases = entry->aliases == NULL ? NULL : g_strjoinv(" ", entry->aliases);

    add_line(text, "os-version:", entry->name);
    if (entry->title != NULL)
        add_line(text, "Full name:", entry->title);
    add_line(text, "Architecture:", entry->arch);
    add_line(text, "Minimum/default size:", size);
    if (download != NULL)
        add_line(text, "Download size:", download);
    if (aliases != NULL)
        add_line(text, "Aliases:", aliases);
    if (note != NULL) {
        g_string_append(text, "\nNotes:\n\n");
        add_note(text, note);
    }
    g_string_append_c(text, '\n');
}

static Json *
entry_json(const IndexEntry *entry)
{
    Json *json = json_new_object(), *notes = json_new_object(), *aliases = json_new_array();
    g_autofree char *compressed = g_strdup_printf("%" G_GUINT64_FORMAT, entry->compressed_size);

    json_set_text(json, "os-version", entry->name);
    if (entry->title != NULL)
        json_set_text(json, "full-name", entry->title);
    json_set_text(json, "arch", entry->arch);
    json_set_number(json, "size", (int64_t)MIN(entry->size, (uint64_t)INT64_MAX));
    if (entry->compressed_size > 0)
        json_set_text(json, "compressed-size", compressed); /* a string there, too */
    for (guint i = 0; i < entry->notes->len; i++) {
        const IndexNote *note = g_ptr_array_index(entry->notes, i);

        json_set_text(notes, *note->language == '\0' ? "C" : note->language, note->text);
    }
    if (entry->notes->len > 0)
        json_set(json, "notes", g_steal_pointer(&notes));
    for (char **alias = entry->aliases; alias != NULL && *alias != NULL; alias++)
        json_append_text(aliases, *alias);
    if (entry->aliases != NULL)
        json_set(json, "aliases", g_steal_pointer(&aliases));
    if (entry->osinfo != NULL)
        json_set_text(json, "osinfo", entry->osinfo);
    json_set_flag(json, "hidden", entry->is_hidden);
    json_free(notes);
    json_free(aliases);
    return json;
}

static Json *
source_json(const FetchOffer *offer)
{
    Json *json = json_new_object();

    if (offer->pins[0] != NULL)
        json_set_text(json, "fingerprint", offer->pins[0]);
    json_set_text(json, "uri", offer->uri);
    return json;
}

typedef struct {
    BuildListFormat format;
    const char *const *languages;
    GString *text;
    Json *templates;
} Listing;

static void
add_entry(Listing *listing, const IndexEntry *entry)
{
    if (listing->format == BUILD_LIST_JSON)
        json_append(listing->templates, entry_json(entry));
    else if (entry->is_hidden)
        return;
    else if (listing->format == BUILD_LIST_LONG)
        add_long(listing->text, entry, listing->languages);
    else
        add_short(listing->text, entry);
}

static void
add_source(const Listing *listing, Json *sources, const FetchOffer *offer)
{
    g_autofree char *uri = cli_safe(offer->uri);

    json_append(sources, source_json(offer));
    if (listing->format != BUILD_LIST_LONG)
        return;
    g_string_append_printf(listing->text, "Source URI: %s\n", uri);
    for (const char *const *pin = offer->pins; *pin != NULL; pin++)
        g_string_append_printf(listing->text, "Fingerprint: %s\n", *pin);
    g_string_append_c(listing->text, '\n');
}

/* Best: of the entries with one name and architecture the one that is meant, as catalogue_find() decides. */
typedef struct {
    const IndexEntry *entry;
    int priority;
} Best;

static char *
key_of(const IndexEntry *entry)
{
    return g_strdup_printf("%s/%s", entry->name, entry->arch);
}

/* (transfer full) name and architecture -> Best */
static GHashTable *
find_best(const FetchOffer *offers, unsigned n)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    for (unsigned i = 0; i < n; i++)
        for (guint k = 0; offers[i].index != NULL && k < offers[i].index->entries->len; k++) {
            const IndexEntry *entry = g_ptr_array_index(offers[i].index->entries, k);
            g_autofree char *key = key_of(entry);
            Best *best = g_hash_table_lookup(table, key);

            if (best != NULL &&
                (best->priority > offers[i].priority ||
                 (best->priority == offers[i].priority && best->entry->revision >= entry->revision)))
                continue;
            best = g_new0(Best, 1);
            *best = (Best){entry, offers[i].priority};
            g_hash_table_insert(table, g_steal_pointer(&key), best);
        }
    return table;
}

static void
add_all(Listing *listing, const FetchOffer *offers, unsigned n)
{
    g_autoptr(GHashTable) table = find_best(offers, n);

    for (unsigned i = 0; i < n; i++)
        for (guint k = 0; offers[i].index != NULL && k < offers[i].index->entries->len; k++) {
            const IndexEntry *entry = g_ptr_array_index(offers[i].index->entries, k);
            g_autofree char *key = key_of(entry);

            if (((const Best *)g_hash_table_lookup(table, key))->entry == entry)
                add_entry(listing, entry);
        }
}

char *
build_list_print(const FetchOffer *offers, unsigned n, const IndexEntry *only, BuildListFormat format,
                 const char *const *languages)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Json) json = json_new_object();
    Json *sources = json_new_array();
    Listing listing = {format, languages, text, json_new_array()};

    json_set_number(json, "version", 1);
    json_set(json, "sources", sources);
    json_set(json, "templates", listing.templates);
    for (unsigned i = 0; only == NULL && i < n; i++)
        add_source(&listing, sources, &offers[i]);
    if (only == NULL)
        add_all(&listing, offers, n);
    else
        add_entry(&listing, only);
    return format == BUILD_LIST_JSON ? json_print(json) : g_string_free(g_steal_pointer(&text), FALSE);
}

char *
build_list_notes(const IndexEntry *entry, const char *const *languages)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *note = index_entry_note(entry, languages);

    if (note != NULL)
        add_note(text, note);
    else
        g_string_printf(text, "There are no notes for %s\n", entry->name);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *
build_list_cached(const IndexEntry *entry, bool is_cached)
{
    return g_strdup_printf("%-24s %-10s %s\n", entry->name, entry->arch, is_cached ? "cached" : "no");
}
