// SPDX-License-Identifier: Apache-2.0
/* Output that the verbs share. */
#include "fetch/show.h"

#include "base/cli.h"

#include <stdio.h>
#include <string.h>

void
show_warnings(const GPtrArray *warnings, const GError *except)
{
    for (guint i = 0; i < warnings->len; i++) {
        const char *text = g_ptr_array_index(warnings, i);

        if (except == NULL || strcmp(text, except->message) != 0)
            cli_warn("%s", text);
    }
}

void
show_json(const Json *json)
{
    g_autofree char *text = json_print(json);

    fputs(text, stdout);
}

static void
set_optional_number(Json *json, const char *key, uint64_t number)
{
    if (number > 0)
        json_set_number(json, key, (int64_t)number);
    else
        json_set_text(json, key, NULL);
}

Json *
show_entry_json(const Source *source, const IndexEntry *entry)
{
    Json *json = json_new_object(), *aliases = json_new_array(), *notes = json_new_object(),
         *extensions = json_new_object();

    json_set_text(json, "name", entry->name);
    json_set_text(json, "title", entry->title);
    json_set_text(json, "arch", entry->arch);
    json_set_text(json, "source", source->name);
    json_set_number(json, "revision", (int64_t)entry->revision);
    json_set_text(json, "osinfo", entry->osinfo);
    set_optional_number(json, "size", entry->size);
    set_optional_number(json, "compressed_size", entry->compressed_size);
    json_set_text(json, "format", entry->format);
    json_set_text(json, "file", entry->file);
    json_set_text(json, "sha512", entry->sha512);
    json_set_text(json, "sha256", entry->sha256);
    json_set_text(json, "expand", entry->expand);
    json_set_text(json, "lvexpand", entry->lvexpand);
    json_set_flag(json, "hidden", entry->is_hidden);
    for (char **alias = entry->aliases; alias != NULL && *alias != NULL; alias++)
        json_append_text(aliases, *alias);
    json_set(json, "aliases", aliases);
    for (guint i = 0; i < entry->notes->len; i++) {
        const IndexNote *note = g_ptr_array_index(entry->notes, i);

        json_set_text(notes, note->language, note->text);
    }
    json_set(json, "notes", notes);
    for (guint i = 0; i < entry->extensions->len; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);
        g_autofree char *key = field->subkey == NULL ? g_strdup(field->key)
                                                     : g_strdup_printf("%s[%s]", field->key, field->subkey);

        json_set_text(extensions, key, field->value);
    }
    json_set(json, "extensions", extensions);
    return json;
}
