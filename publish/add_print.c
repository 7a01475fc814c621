// SPDX-License-Identifier: Apache-2.0
/* Printing what `repo add` did, for people and for scripts. */
#include "publish/add_print.h"

#include "base/cli.h"

#include <stdio.h>

static Json *
deltas_to_json(const PublishItem *item)
{
    Json *json = json_new_array();

    for (guint i = 0; i < item->deltas->len; i++) {
        const PublishDelta *delta = g_ptr_array_index(item->deltas, i);
        Json *object = json_new_object();

        json_set_number(object, "from_revision", (int64_t)MIN(delta->revision, G_MAXINT64));
        json_set_count(object, "size", delta->size);
        json_set_text(object, "file", delta->path);
        json_append(json, object);
    }
    return json;
}

static void
put_entry(Json *json, const PublishItem *item, bool is_dry_run)
{
    index_entry_put_json(item->entry, json);
    if (is_dry_run) {
        json_set_text(json, "file", NULL); /* named by a digest that is not known yet */
    } else {
        json_set_number(json, "reused_bytes", (int64_t)item->xz.result.reused_bytes);
        json_set(json, "deltas", deltas_to_json(item));
        json_set_count(json, "zstd_size", item->has_twin ? item->zstd.result.compressed_size : 0);
        json_set_count(json, "zstd_reused_bytes", item->has_twin ? item->zstd.result.reused_bytes : 0);
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
    g_autofree char *reused = cli_format_size(item->xz.result.reused_bytes);

    if (is_dry_run) {
        printf("would publish %s (%s) revision %" G_GUINT64_FORMAT ": %s\n", entry->name, entry->arch,
               entry->revision, size);
        return;
    }
    printf("%s (%s) revision %" G_GUINT64_FORMAT ": %s, download %s, index version %" G_GUINT64_FORMAT "\n",
           entry->name, entry->arch, entry->revision, size, download, index->version);
    if (item->xz.result.reused_bytes > 0)
        cli_note("%s: %s in blocks as in the revision before were not compressed again", entry->name, reused);
}

static void
print_twin(const PublishItem *item)
{
    uint64_t size = item->zstd.result.compressed_size, whole = MAX(item->xz.result.compressed_size, 1);
    g_autofree char *text = cli_format_size(size);

    if (item->has_twin)
        cli_note("%s: the same as zstd: %s, %" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT " %% of the download",
                 item->name, text, size * 100 / whole, size * 1000 / whole % 10);
}

static void
print_deltas(const PublishItem *item)
{
    for (guint i = 0; i < item->deltas->len; i++) {
        const PublishDelta *delta = g_ptr_array_index(item->deltas, i);
        g_autofree char *size = cli_format_size(delta->size);

        cli_note("%s: delta from revision %" G_GUINT64_FORMAT ": %s, %" G_GUINT64_FORMAT
                 " %% of the whole download",
                 item->name, delta->revision, size,
                 delta->size * 100 / MAX(item->xz.result.compressed_size, 1));
    }
    for (guint i = 0; i < item->delta_notes->len; i++)
        cli_note("%s", (const char *)g_ptr_array_index(item->delta_notes, i));
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

        if (item->error != NULL)
            continue;
        print_line(item, index, is_dry_run);
        print_twin(item);
        print_deltas(item);
    }
}
