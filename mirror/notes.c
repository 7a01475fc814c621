// SPDX-License-Identifier: Apache-2.0
/* The notes of a mirror as JSON. */
#include "mirror/notes.h"

#include "base/digest.h"
#include "base/json.h"

#include <string.h>

#define FORMAT 1
#define MAX_BYTES (64u << 20) /* 200,000 detached signatures with 300 bytes each */

static const char *const TEXTS[] = {"index.asc", "index", "keys.asc", "trust"};

void
mirror_notes_clear(MirrorNotes *notes)
{
    g_clear_pointer(&notes->source, g_free);
    g_clear_pointer(&notes->digest, g_free);
    for (size_t i = 0; i < notes->n_texts; i++)
        fetch_text_clear(&notes->texts[i]);
    notes->n_texts = 0;
    g_clear_pointer(&notes->known, g_hash_table_unref);
    g_clear_pointer(&notes->gone, g_hash_table_unref);
}

static GHashTable *
read_table(const Json *json)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autofree const char **keys = json != NULL ? json_keys(json) : NULL;

    for (const char **key = keys; key != NULL && *key != NULL; key++)
        if (json_get_text(json, *key) != NULL)
            g_hash_table_insert(table, g_strdup(*key), g_strdup(json_get_text(json, *key)));
    return table;
}

/* The digests become parts of paths. */
static gboolean
is_no_digest(gpointer key G_GNUC_UNUSED, gpointer value, gpointer context G_GNUC_UNUSED)
{
    return !digest_is_hex(DIGEST_SHA512, value);
}

bool
mirror_notes_read(Store *store, MirrorNotes *out_notes, bool *out_is_there, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = store_read_private(store, STORE_MIRROR_NOTES, MAX_BYTES, &problem);
    g_autofree char *name = g_strdup_printf("%s: " STORE_MIRROR_NOTES, store_location(store));
    g_autoptr(Json) json = NULL;

    *out_is_there = bytes != NULL;
    if (bytes == NULL && !g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    if (bytes != NULL) {
        json = json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, error);
        if (json == NULL)
            return false;
        if (json_get_number(json, "format", 0) != FORMAT)
            return error_set(error, "%s: written by a newer virt-depot", name);
    }
    out_notes->source = g_strdup(json_get_text(json, "source"));
    out_notes->digest = g_strdup(json_get_text(json, "digest"));
    out_notes->version = (uint64_t)json_get_number(json, "version", 0);
    out_notes->expires = json_get_number(json, "expires", 0);
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        const char *etag = json_get_text(json_get(json, "etags"), TEXTS[i]);

        if (etag != NULL)
            out_notes->texts[out_notes->n_texts++] = (FetchText){.name = TEXTS[i], .etag = g_strdup(etag)};
    }
    out_notes->known = read_table(json_get(json, "known"));
    g_hash_table_foreach_remove(out_notes->known, is_no_digest, NULL);
    out_notes->gone = read_table(json_get(json, "gone"));
    return true;
}

static Json *
table_json(GHashTable *table)
{
    Json *json = json_new_object();
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, &value))
        json_set_text(json, key, value);
    return json;
}

bool
mirror_notes_write(Store *store, const MirrorNotes *notes, GError **error)
{
    g_autoptr(Json) json = json_new_object();
    Json *etags = json_new_object();
    g_autofree char *text = NULL;

    json_set_number(json, "format", FORMAT);
    json_set_text(json, "source", notes->source);
    json_set_text(json, "digest", notes->digest);
    json_set_count(json, "version", notes->version);
    json_set_number(json, "expires", notes->expires);
    for (size_t i = 0; i < notes->n_texts; i++)
        json_set_text(etags, notes->texts[i].name, notes->texts[i].etag);
    json_set(json, "etags", etags);
    json_set(json, "known", table_json(notes->known));
    json_set(json, "gone", table_json(notes->gone));
    text = json_print(json);
    return store_write_private(store, STORE_MIRROR_NOTES, text, strlen(text), error);
}

static const FetchText *
find(const FetchText *texts, const char *name)
{
    for (size_t i = 0; i < FETCH_N_TEXTS; i++)
        if (strcmp(texts[i].name, name) == 0 && texts[i].content != NULL)
            return &texts[i];
    return NULL;
}

void
mirror_notes_set_texts(MirrorNotes *notes, const FetchText *texts)
{
    bool has_index = false;

    for (size_t i = 0; i < notes->n_texts; i++)
        fetch_text_clear(&notes->texts[i]);
    notes->n_texts = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        const FetchText *text = find(texts, TEXTS[i]);
        const bool is_index = g_str_has_prefix(TEXTS[i], "index");

        if (text == NULL || (is_index && has_index))
            continue;
        has_index |= is_index;
        if (text->etag == NULL) { /* no way to ask whether it changed: fetch all of them */
            for (size_t j = 0; j < notes->n_texts; j++)
                fetch_text_clear(&notes->texts[j]);
            notes->n_texts = 0;
            return;
        }
        notes->texts[notes->n_texts++] = (FetchText){.name = text->name, .etag = g_strdup(text->etag)};
    }
}
