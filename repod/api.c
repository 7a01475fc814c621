// SPDX-License-Identifier: Apache-2.0
/* What the page says, for programs. Times are ISO 8601 in UTC, sizes bytes; null where the index does not say. */
#include "repod/api.h"

#include <string.h>

static GBytes *
print(const Json *json)
{
    char *text = json_print(json);

    return g_bytes_new_take(text, strlen(text));
}

static void
set_time(Json *json, const char *key, int64_t when)
{
    g_autoptr(GDateTime) date = when != 0 ? g_date_time_new_from_unix_utc(when) : NULL;
    g_autofree char *text = date != NULL ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%SZ") : NULL;

    json_set_text(json, key, text);
}

static Json *
image(const IndexEntry *entry)
{
    Json *json = json_new_object();
    g_autofree char *os = catalogue_os(entry);

    index_entry_put_json(entry, json);
    json_set_text(json, "os", *os != '\0' ? os : NULL);
    return json;
}

static Json *
revisions_of(const Catalogue *catalogue, const IndexEntry *entry)
{
    const GPtrArray *history = catalogue_history(catalogue, entry);
    Json *json = json_new_array();

    for (guint i = history != NULL ? history->len : 0; i > 0; i--) {
        const CatalogueRevision *revision = g_ptr_array_index(history, i - 1);
        Json *item = json_new_object();

        json_set_number(item, "revision", (int64_t)MIN(revision->revision, G_MAXINT64));
        json_set_number(item, "version", (int64_t)MIN(revision->version, G_MAXINT64));
        set_time(item, "created", revision->created);
        json_set_count(item, "size", revision->size);
        json_set_count(item, "compressed_size", revision->compressed_size);
        json_set_text(item, "sha512", revision->sha512);
        json_set_text(item, "file", revision->file);
        json_append(json, item);
    }
    return json;
}

GBytes *
api_error(const char *message)
{
    g_autoptr(Json) json = json_new_object();

    json_set_text(json, "error", message);
    return print(json);
}

static Json *
texts_of(char *const *texts)
{
    Json *json = json_new_array();

    for (; texts != NULL && *texts != NULL; texts++)
        json_append_text(json, *texts);
    return json;
}

GBytes *
api_index(const Catalogue *catalogue)
{
    g_autoptr(Json) json = json_new_object();
    Json *images = json_new_array();

    if (catalogue->problem != NULL) {
        json_free(images);
        return api_error(catalogue->problem);
    }
    json_set_text(json, "repository", catalogue->site);
    json_set_text(json, "repo_id", catalogue->index->repo_id);
    json_set_number(json, "version", (int64_t)MIN(catalogue->index->version, G_MAXINT64));
    json_set_text(json, "fingerprint", catalogue->fingerprint);
    json_set(json, "roots", texts_of(catalogue->roots));
    set_time(json, "created", catalogue->index->created);
    set_time(json, "signed", catalogue->signed_at);
    set_time(json, "expires", catalogue->expires_at);
    for (guint i = 0; i < catalogue->index->entries->len; i++)
        json_append(images, image(g_ptr_array_index(catalogue->index->entries, i)));
    json_set(json, "images", images);
    return print(json);
}

GBytes *
api_history(const Catalogue *catalogue)
{
    g_autoptr(Json) json = json_new_object();
    Json *versions, *images;

    if (catalogue->problem != NULL)
        return api_error(catalogue->problem);
    versions = json_new_array();
    for (guint i = catalogue->versions->len; i > 0; i--) {
        const CatalogueVersion *version = g_ptr_array_index(catalogue->versions, i - 1);
        Json *item = json_new_object();

        json_set_number(item, "version", (int64_t)MIN(version->version, G_MAXINT64));
        set_time(item, "created", version->created);
        json_set_number(item, "images", version->n_images);
        json_append(versions, item);
    }
    json_set(json, "versions", versions);
    json_set_number(json, "unread_versions", catalogue->n_unread);
    images = json_new_array();
    for (guint i = 0; i < catalogue->index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(catalogue->index->entries, i);
        Json *item = json_new_object();

        json_set_text(item, "name", entry->name);
        json_set_text(item, "arch", entry->arch);
        json_set(item, "revisions", revisions_of(catalogue, entry));
        json_append(images, item);
    }
    json_set(json, "images", images);
    return print(json);
}

GBytes *
api_image(const Catalogue *catalogue, const char *name)
{
    g_autoptr(Json) json = json_new_array();

    for (guint i = 0; catalogue->problem == NULL && i < catalogue->index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(catalogue->index->entries, i);
        Json *item;

        if (strcmp(entry->name, name) != 0)
            continue;
        item = image(entry);
        json_set(item, "revisions", revisions_of(catalogue, entry));
        json_append(json, item);
    }
    return json_length(json) > 0 ? print(json) : NULL;
}
