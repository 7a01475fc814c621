// SPDX-License-Identifier: Apache-2.0
/* Printing what `repo add` did, for people and for scripts. */
#include "publish/add_print.h"

#include "base/cli.h"

#include <stdio.h>

static void
put_entry(Json *json, const PublishItem *item, bool is_dry_run)
{
    index_entry_put_json(item->entry, json);
    if (is_dry_run) {
        json_set_text(json, "file", NULL); /* named by a digest that is not known yet */
    } else {
        json_set_number(json, "reused_bytes", (int64_t)item->result.reused_bytes);
    }
}

static Json *
failure_to_json(const PublishItem *item)
{
    Json *json = json_new_object();

    json_set_text(json, "name", item->name);
    json_set_text(json, "error", item->error->message);
    return json;
}

static void
print_json(const PublishAdd *add, const Index *index, bool is_dry_run)
{
    g_autoptr(Json) json = json_new_object();
    g_autofree char *text = NULL;
    const PublishItem *first = g_ptr_array_index(add->items, 0);
    Json *images, *failed;

    json_set_text(json, "repository", store_location(add->repo->store));
    json_set_flag(json, "dry_run", is_dry_run);
    if (add->items->len == 1) {
        put_entry(json, first, is_dry_run);
    } else {
        images = json_new_array();
        failed = json_new_array();
        for (guint i = 0; i < add->items->len; i++) {
            const PublishItem *item = g_ptr_array_index(add->items, i);

            if (item->error != NULL) {
                json_append(failed, failure_to_json(item));
            } else {
                Json *image = json_new_object();

                put_entry(image, item, is_dry_run);
                json_append(images, image);
            }
        }
        json_set(json, "images", images);
        json_set(json, "failed", failed);
    }
    if (!is_dry_run) {
        json_set_number(json, "version", (int64_t)index->version);
        json_set_number(json, "expires", index->expires);
    }
    text = json_print(json);
    fputs(text, stdout);
}

static void
print_line(const PublishItem *item, const Index *index, bool is_dry_run)
{
    const IndexEntry *entry = item->entry;
    g_autofree char *size = cli_format_size(entry->size);
    g_autofree char *download = cli_format_size(entry->compressed_size);
    g_autofree char *reused = cli_format_size(item->result.reused_bytes);

    if (is_dry_run) {
        printf("would publish %s (%s) revision %" G_GUINT64_FORMAT ": %s\n", entry->name, entry->arch,
               entry->revision, size);
        return;
    }
    printf("%s (%s) revision %" G_GUINT64_FORMAT ": %s, download %s, index version %" G_GUINT64_FORMAT "\n",
           entry->name, entry->arch, entry->revision, size, download, index->version);
    if (item->result.reused_bytes > 0)
        cli_note("%s: %s in blocks as in the revision before were not compressed again", entry->name, reused);
}

void
add_print(const PublishAdd *add, const Index *index, bool is_dry_run, bool is_json)
{
    if (is_json) {
        print_json(add, index, is_dry_run);
        return;
    }
    for (guint i = 0; i < add->items->len; i++) {
        const PublishItem *item = g_ptr_array_index(add->items, i);

        if (item->error == NULL)
            print_line(item, index, is_dry_run);
    }
}
