// SPDX-License-Identifier: Apache-2.0
/* An index entry as JSON, the same in every verb's output. */
#include "publish/entry_json.h"

void
publish_entry_put_json(Json *json, const IndexEntry *entry)
{
    Json *extensions = json_new_object();

    json_set_text(json, "name", entry->name);
    json_set_text(json, "arch", entry->arch);
    json_set_number(json, "revision", (int64_t)entry->revision);
    json_set_text(json, "title", entry->title);
    json_set_text(json, "osinfo", entry->osinfo);
    json_set_text(json, "format", entry->format);
    json_set_number(json, "size", (int64_t)entry->size);
    json_set_text(json, "expand", entry->expand);
    json_set_text(json, "lvexpand", entry->lvexpand);
    json_set_flag(json, "hidden", entry->is_hidden);
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);
        g_autofree char *key = field->subkey == NULL ? g_strdup(field->key)
                                                     : g_strdup_printf("%s[%s]", field->key, field->subkey);

        json_set_text(extensions, key, field->value);
    }
    json_set(json, "extensions", extensions);
}

void
publish_entry_put_file_json(Json *json, const IndexEntry *entry)
{
    json_set_number(json, "compressed_size", (int64_t)entry->compressed_size);
    json_set_text(json, "sha512", entry->sha512);
    json_set_text(json, "file", entry->file);
}
