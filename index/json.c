// SPDX-License-Identifier: Apache-2.0
/* An entry as JSON, the same in the output of every verb and of the server. */
#include "index/index.h"

static Json *
extensions_of(const IndexEntry *entry)
{
    Json *json = json_new_object();

    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);
        g_autofree char *key = field->subkey == NULL ? g_strdup(field->key)
                                                     : g_strdup_printf("%s[%s]", field->key, field->subkey);

        json_set_text(json, key, field->value);
    }
    return json;
}

static Json *
notes_of(const IndexEntry *entry)
{
    Json *json = json_new_object();

    for (guint i = 0; i < entry->notes->len; i++) {
        const IndexNote *note = g_ptr_array_index(entry->notes, i);

        json_set_text(json, note->language, note->text);
    }
    return json;
}

static Json *
aliases_of(const IndexEntry *entry)
{
    Json *json = json_new_array();

    for (char **alias = entry->aliases; alias != NULL && *alias != NULL; alias++)
        json_append_text(json, *alias);
    return json;
}

void
index_entry_put_json(const IndexEntry *entry, Json *json)
{
    json_set_text(json, "name", entry->name);
    json_set_text(json, "arch", entry->arch);
    json_set_text(json, "title", entry->title);
    json_set_text(json, "osinfo", entry->osinfo);
    json_set_number(json, "revision", (int64_t)MIN(entry->revision, G_MAXINT64));
    json_set_text(json, "format", entry->format);
    json_set_count(json, "size", entry->size);
    json_set_count(json, "compressed_size", entry->compressed_size);
    json_set_text(json, "sha512", entry->sha512);
    json_set_text(json, "sha256", entry->sha256);
    json_set_text(json, "file", entry->file);
    json_set_text(json, "expand", entry->expand);
    json_set_text(json, "lvexpand", entry->lvexpand);
    json_set_flag(json, "hidden", entry->is_hidden);
    json_set(json, "aliases", aliases_of(entry));
    json_set(json, "notes", notes_of(entry));
    json_set(json, "extensions", extensions_of(entry));
}
