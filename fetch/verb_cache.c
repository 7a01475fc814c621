// SPDX-License-Identifier: Apache-2.0
/* virt-depot cache list and cache prune. */
#include "fetch/fetch.h"
#include "fetch/prune.h"
#include "fetch/show.h"

#include <stdio.h>
#include <time.h>

#define LITTER_AGE (24 * 3600) /* seconds: partial work of the last day is likely to be gone on with */

static gboolean option_json, option_dry_run;
static char *option_max_size, *option_older_than;

static const GOptionEntry LIST_OPTIONS[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static const GOptionEntry PRUNE_OPTIONS[] = {
    {"max-size", 0, 0, G_OPTION_ARG_STRING, &option_max_size,
     "Remove the least recently used images until no more than SIZE is left", "SIZE"},
    {"older-than", 0, 0, G_OPTION_ARG_STRING, &option_older_than,
     "Remove images that were not used for AGE: 30d, 12h", "AGE"},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be removed, and do nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
set_bytes(Json *json, const char *key, uint64_t bytes)
{
    json_set_number(json, key, (int64_t)MIN(bytes, G_MAXINT64));
}

/* ---- list ---- */

static Json *
names_json(const CacheImage *image)
{
    Json *list = json_new_array();

    for (guint i = 0; i < image->names->len; i++) {
        const Recorded *recorded = g_ptr_array_index(image->names, i);
        Json *json = json_new_object();

        json_set_text(json, "source", recorded->source);
        json_set_text(json, "name", recorded->entry->name);
        json_set_text(json, "arch", recorded->entry->arch);
        set_bytes(json, "revision", recorded->entry->revision);
        json_append(list, json);
    }
    return list;
}

static Json *
image_json(const CacheImage *image)
{
    Json *json = json_new_object(), *users = json_new_array();
    g_autofree char *last_used = cli_format_time(image->last_used);

    for (guint i = 0; image->users != NULL && i < image->users->len; i++)
        json_append_text(users, g_ptr_array_index(image->users, i));
    json_set_text(json, "id", image->id);
    json_set_text(json, "path", image->path);
    json_set_text(json, "image_format", disk_format_name(image->format));
    json_set(json, "images", names_json(image));
    set_bytes(json, "file_size", image->size);
    set_bytes(json, "disk_size", image->disk_bytes);
    json_set_text(json, "last_used", last_used);
    json_set(json, "used_by", users);
    return json;
}

static Json *
contents_json(const CacheContents *contents)
{
    Json *json = json_new_object(), *images = json_new_array(), *partial = json_new_array();

    for (guint i = 0; i < contents->images->len; i++)
        json_append(images, image_json(g_ptr_array_index(contents->images, i)));
    for (guint i = 0; i < contents->litter->len; i++) {
        const CacheLitter *litter = g_ptr_array_index(contents->litter, i);
        Json *one = json_new_object();

        json_set_text(one, "id", litter->id);
        json_set_text(one, "path", litter->path);
        set_bytes(one, "disk_size", litter->disk_bytes);
        json_append(partial, one);
    }
    json_set(json, "images", images);
    json_set(json, "partial", partial);
    return json;
}

static void
add_row(GPtrArray *rows, const CacheImage *image, const Recorded *recorded)
{
    char **row = g_new0(char *, 7);

    row[0] = recorded == NULL ? g_strdup(image->id)
                              : g_strdup_printf("%s/%s", recorded->source, recorded->entry->name);
    row[1] = g_strdup(recorded == NULL ? "-" : recorded->entry->arch);
    row[2] =
        recorded == NULL ? g_strdup("-") : g_strdup_printf("%" G_GUINT64_FORMAT, recorded->entry->revision);
    row[3] = cli_format_size(image->disk_bytes);
    row[4] = cli_format_time(image->last_used);
    row[5] = image->users == NULL     ? g_strdup("-")
             : image->users->len == 1 ? g_path_get_basename(g_ptr_array_index(image->users, 0))
                                      : g_strdup_printf("%u users", image->users->len);
    g_ptr_array_add(rows, row);
}

static void
print_contents(const CacheContents *contents)
{
    static const char *const HEADING[] = {"IMAGE", "ARCH", "REVISION", "SIZE", "LAST USED", "USED BY", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    uint64_t partial = 0;

    for (guint i = 0; i < contents->images->len; i++) {
        const CacheImage *image = g_ptr_array_index(contents->images, i);

        for (guint k = 0; k < image->names->len; k++)
            add_row(rows, image, g_ptr_array_index(image->names, k));
        if (image->names->len == 0)
            add_row(rows, image, NULL);
    }
    for (guint i = 0; i < contents->litter->len; i++)
        partial += ((const CacheLitter *)g_ptr_array_index(contents->litter, i))->disk_bytes;
    if (rows->len > 0)
        cli_print_table(HEADING, rows);
    else
        cli_note("the cache holds no image");
    if (partial > 0) {
        g_autofree char *text = cli_format_size(partial);

        cli_note("and %s of pulls that have not ended", text);
    }
}

static bool
run_list(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    g_autoptr(CacheContents) contents = contents_read();

    contents_find_users(contents);
    show_warnings(contents->uses->doubts, NULL);
    if (option_json) {
        g_autoptr(Json) json = contents_json(contents);

        show_json(json);
    } else {
        print_contents(contents);
    }
    return true;
}

/* ---- prune ---- */

static Json *
result_json(const PruneResult *result)
{
    Json *json = json_new_object(), *removed = json_new_array(), *kept = json_new_array();

    for (guint i = 0; i < result->lines->len; i++) {
        const PruneLine *line = g_ptr_array_index(result->lines, i);
        Json *one = json_new_object();

        json_set_text(one, "id", line->id);
        json_set_text(one, "name", line->name);
        json_set_text(one, "path", line->path);
        set_bytes(one, "disk_size", line->disk_bytes);
        if (line->reason != NULL)
            json_set_text(one, "reason", line->reason);
        json_append(line->reason == NULL ? removed : kept, one);
    }
    json_set(json, "removed", removed);
    json_set(json, "kept", kept);
    set_bytes(json, "left_size", result->left_bytes);
    return json;
}

static void
print_result(const PruneResult *result)
{
    for (guint i = 0; i < result->lines->len; i++) {
        const PruneLine *line = g_ptr_array_index(result->lines, i);
        g_autofree char *size = cli_format_size(line->disk_bytes), *name = cli_safe(line->name);

        if (line->reason != NULL)
            cli_note("%s stays (%s): %s", name, size, line->reason);
        else
            printf("%s %s (%s)\n", option_dry_run ? "would remove" : "removed", name, size);
    }
}

static bool
run_prune(int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
    g_auto(PruneResult) result = {0};
    PruneRule rule = {.max_age = -1, .now = (int64_t)time(NULL)};

    if ((option_max_size != NULL && !cli_parse_size(option_max_size, &rule.max_bytes, error)) ||
        (option_older_than != NULL && !cli_parse_age(option_older_than, &rule.max_age, error)))
        return false;
    if (!prune_cache(&rule, rule.max_age >= 0 ? rule.max_age : LITTER_AGE, option_dry_run, &result, error)) {
        if (result.lines != NULL && !option_json)
            print_result(&result);
        return false;
    }
    if (option_json) {
        g_autoptr(Json) json = result_json(&result);

        show_json(json);
    } else {
        print_result(&result);
    }
    if (rule.max_bytes > 0 && result.left_bytes > rule.max_bytes) {
        g_autofree char *left = cli_format_size(result.left_bytes);

        cli_note("%s are left: what stays is needed", left);
    }
    return result.n_doubted == 0 ||
           error_set(error, "%u image%s stay%s, as it cannot be told who needs what: %s", result.n_doubted,
                     result.n_doubted == 1 ? "" : "s", result.n_doubted == 1 ? "s" : "", result.doubt);
}

const Verb FETCH_VERB_CACHE_LIST = {
    .name = "cache list",
    .arguments = "",
    .summary = "List the images in the cache, their last use and the disks that need them",
    .options = LIST_OPTIONS,
    .run = run_list,
};

const Verb FETCH_VERB_CACHE_PRUNE = {
    .name = "cache prune",
    .arguments = "",
    .summary = "Remove images that no VM needs, and what interrupted pulls left",
    .description = "Without --max-size and --older-than only what interrupted pulls left more than a day ago "
                   "is removed.\n"
                   "The base of a linked clone always stays.",
    .options = PRUNE_OPTIONS,
    .run = run_prune,
};
