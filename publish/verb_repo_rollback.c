// SPDX-License-Identifier: Apache-2.0
/*
 * virt-depot repo rollback: what an older version published, published again. Clients refuse versions and revisions
 * that go back, so the old content comes under a new version and, where it differs, new revisions.
 */
#include "base/cli.h"
#include "publish/history.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>

static int option_valid_days = (int)PUBLISH_VALID_DAYS;
static gboolean option_json, option_dry_run;

static const GOptionEntry OPTIONS[] = {
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days, "How long the signature holds (default: 14)",
     "DAYS"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be published and change nothing",
     NULL},
    G_OPTION_ENTRY_NULL,
};

/* check_blobs: everything that the old version refers to is still here, and of the size that it says. */
static bool
check_blobs(PublishRepo *repo, const Index *old, GError **error)
{
    g_autoptr(GPtrArray) blobs = store_list_blobs(repo->store, error);
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer path;

    if (blobs == NULL)
        return false;
    publish_add_references(needed, old);
    for (guint i = 0; i < blobs->len; i++)
        g_hash_table_remove(needed, ((StoreBlob *)g_ptr_array_index(blobs, i))->path);
    g_hash_table_iter_init(&iter, needed);
    if (g_hash_table_iter_next(&iter, &path, NULL))
        return error_set_code(error, BASE_ERROR_NOT_FOUND,
                              "%s: version %" G_GUINT64_FORMAT " needs %s, which is gone (and %u more files)",
                              store_location(repo->store), old->version, (const char *)path,
                              g_hash_table_size(needed) - 1);
    return true;
}

/* read_all: (element-type Index) every version that is kept and can be read, @index last. */
static GPtrArray *
read_all(PublishRepo *repo, const Index *index, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(repo->store, error);
    GPtrArray *known = g_ptr_array_new_with_free_func((GDestroyNotify)index_free);

    for (guint i = 0; generations != NULL && i < generations->len; i++) {
        const uint64_t version = g_array_index(generations, StoreGeneration, i).version;
        g_autoptr(GError) local = NULL;
        Index *one = publish_repo_read_version(repo, version, &local);

        if (one != NULL)
            g_ptr_array_add(known, one);
        else if (version == index->version)
            g_error_free(g_steal_pointer(&local)); /* read already by the caller */
        else
            cli_warn("%s; its revisions are not taken into account", local->message);
    }
    return known;
}

static void
print_result(const PublishRepo *repo, const Index *index, uint64_t version)
{
    g_autoptr(Json) json = show_index_json(repo, index);
    Json *images = json_new_array();

    json_set_flag(json, "dry_run", option_dry_run);
    json_set_number(json, "rolled_back_to", (int64_t)version);
    for (guint i = 0; i < index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(index->entries, i);
        Json *image = json_new_object();

        json_set_text(image, "name", entry->name);
        json_set_text(image, "arch", entry->arch);
        json_set_number(image, "revision", (int64_t)entry->revision);
        json_append(images, image);
    }
    json_set(json, "images", images);
    if (option_json)
        show_repo_json(json);
    else
        printf("%s the %u images of version %" G_GUINT64_FORMAT " as version %" G_GUINT64_FORMAT "\n",
               option_dry_run ? "would publish" : "published", index->entries->len, version,
               index->version + (option_dry_run ? 1 : 0));
}

/* read_old: with the versions that there are, where @version is not one of them. */
static Index *
read_old(PublishRepo *repo, uint64_t version, GError **error)
{
    g_autoptr(GArray) generations = NULL;
    g_autoptr(GString) kept = g_string_new(NULL);
    g_autoptr(GError) local = NULL;
    Index *old = publish_repo_read_version(repo, version, &local);

    if (old != NULL)
        return old;
    if (!g_error_matches(local, BASE_ERROR, BASE_ERROR_NOT_FOUND) ||
        (generations = store_list_generations(repo->store, NULL)) == NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    for (guint i = 0; i < generations->len; i++)
        g_string_append_printf(kept, "%s%" G_GUINT64_FORMAT, i > 0 ? ", " : "",
                               g_array_index(generations, StoreGeneration, i).version);
    error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: version %" G_GUINT64_FORMAT " is not kept; there are %s",
                   store_location(repo->store), version, kept->str);
    return NULL;
}

static bool
roll_back(PublishRepo *repo, uint64_t version, GError **error)
{
    g_autoptr(Index) index = publish_repo_read(repo, error);
    g_autoptr(Index) old = NULL;
    g_autoptr(GPtrArray) known = NULL;

    if (index == NULL)
        return false;
    if (version >= index->version)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "version %" G_GUINT64_FORMAT
                              " is not older than the current one, %" G_GUINT64_FORMAT,
                              version, index->version);
    old = read_old(repo, version, error);
    if (old == NULL || !check_blobs(repo, old, error))
        return false;
    known = read_all(repo, index, error);
    publish_roll_back(index, old, known);
    if (!option_dry_run && !publish_repo_write(repo, index, (unsigned)option_valid_days, error))
        return false;
    print_result(repo, index, version);
    return true;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;
    uint64_t version;

    if (!show_check_valid_days(option_valid_days, error))
        return false;
    if (!g_ascii_string_to_unsigned(argv[1], 10, 1, G_MAXINT64, &version, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not a version number", argv[1]);
    repo = publish_repo_open(argv[0], error);
    return repo != NULL && show_lock(repo, error) && roll_back(repo, version, error);
}

const Verb PUBLISH_VERB_REPO_ROLLBACK = {
    .name = "repo rollback",
    .arguments = "DIR VERSION",
    .summary = "Publish again what an older version published",
    .description = "The folders in DIR/gen are the versions that are kept.",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};
