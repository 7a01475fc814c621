// SPDX-License-Identifier: Apache-2.0
/* virt-depot repo list: what a repository publishes, as its publisher sees it: verified, hidden images
 * included. */
#include "publish/publish.h"
#include "publish/repo.h"

#include <stdio.h>

static gboolean option_json;

static const GOptionEntry OPTIONS[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the list as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static Json *
entry_to_json(const IndexEntry *entry)
{
    Json *json = json_new_object();

    index_entry_put_json(entry, json);
    return json;
}

static void
print_json(const PublishRepo *repo, const Index *index, bool is_expired)
{
    g_autoptr(Json) json = json_new_object();
    Json *images = json_new_array();
    g_autofree char *text = NULL;

    json_set_text(json, "repository", store_location(repo->store));
    json_set_text(json, "repo_id", repo->repo_id);
    json_set_text(json, "fingerprint", repo->fingerprint);
    json_set_number(json, "version", (int64_t)index->version);
    json_set_number(json, "created", index->created);
    json_set_number(json, "expires", index->expires);
    json_set_flag(json, "expired", is_expired);
    for (guint i = 0; i < index->entries->len; i++)
        json_append(images, entry_to_json(g_ptr_array_index(index->entries, i)));
    json_set(json, "images", images);
    text = json_print(json);
    fputs(text, stdout);
}

static void
print_table(const Index *index)
{
    static const char *const HEADING[] = {"NAME", "ARCH", "REVISION", "SIZE", "DOWNLOAD", "TITLE", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);
        char **row = g_new0(char *, G_N_ELEMENTS(HEADING));

        row[0] = g_strdup(entry->name);
        row[1] = g_strdup(entry->arch);
        row[2] = g_strdup_printf("%" G_GUINT64_FORMAT, entry->revision);
        row[3] = cli_format_size(entry->size);
        row[4] = cli_format_size(entry->compressed_size);
        row[5] =
            g_strconcat(entry->title != NULL ? entry->title : "-", entry->is_hidden ? " (hidden)" : "", NULL);
        g_ptr_array_add(rows, row);
    }
    cli_print_table(HEADING, rows);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = publish_repo_open(argv[0], error);
    g_autoptr(Index) index = repo != NULL ? publish_repo_read(repo, error) : NULL;
    g_autofree char *expires = NULL;
    bool is_expired;

    if (index == NULL)
        return false;
    is_expired = index->expires != 0 && index->expires < g_get_real_time() / G_USEC_PER_SEC;
    if (option_json)
        print_json(repo, index, is_expired);
    else
        print_table(index);
    if (is_expired) {
        expires = cli_format_time(index->expires);
        cli_warn("the index expired on %s: clients refuse it until something is published again", expires);
    }
    return true;
}

const Verb PUBLISH_VERB_REPO_LIST = {
    .name = "repo list",
    .arguments = "DIR",
    .summary = "List the images that a repository publishes",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
