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

Json *
show_entry_json(const Source *source, const IndexEntry *entry)
{
    Json *json = json_new_object();

    index_entry_put_json(entry, json);
    json_set_text(json, "source", source->name);
    return json;
}
