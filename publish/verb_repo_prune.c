// SPDX-License-Identifier: Apache-2.0
/*
 * virt-depot repo prune: forget old versions, and remove the blobs that no version needs any more. A client that
 * verified an index yesterday may pull by it today, so nothing goes before a grace period.
 */
#include "base/cli.h"
#include "publish/history.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>

#define KEEP_VERSIONS 10
#define MAX_KEEP 1000000
#define GRACE "14d" /* PUBLISH_VALID_DAYS: by then no client believes the old index any more */

static int option_keep = KEEP_VERSIONS;
static char *option_older_than;
static gboolean option_json, option_dry_run;

static const GOptionEntry OPTIONS[] = {
    {"keep", 0, 0, G_OPTION_ARG_INT, &option_keep,
     "Versions to keep at least, with what they need (default: 10)", "N"},
    {"older-than", 0, 0, G_OPTION_ARG_STRING, &option_older_than,
     "Only what was replaced or stored longer ago (default: " GRACE ")", "AGE"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be removed and change nothing",
     NULL},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    GArray *versions; /* (element-type guint64) to forget */
    GPtrArray *blobs; /* (element-type StoreBlob) to remove; borrowed */
    uint64_t bytes;
} Plan;

static bool
is_chosen(const GArray *versions, uint64_t version)
{
    for (guint i = 0; i < versions->len; i++)
        if (g_array_index(versions, guint64, i) == version)
            return true;
    return false;
}

/* find_needed: the blobs of every version that stays. One that cannot be read stops everything: what it needs is
 * not known. */
static bool
find_needed(PublishRepo *repo, const GArray *generations, const GArray *forgotten, GHashTable *needed,
            GError **error)
{
    for (guint i = 0; i < generations->len; i++) {
        const uint64_t version = g_array_index(generations, StoreGeneration, i).version;
        g_auto(StoreText) text = {"index", NULL};

        if (is_chosen(forgotten, version))
            continue;
        if (!store_read_generation(repo->store, version, &text, 1, SIGN_MAX_TEXT, error)) {
            g_prefix_error(error, "nothing was removed, as what a version needs is not known: ");
            return false;
        }
        publish_add_text_references(needed, text.content);
    }
    return true;
}

static bool
make_plan(PublishRepo *repo, const GPtrArray *blobs, int64_t before, Plan *plan, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(repo->store, error);
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (generations == NULL)
        return false;
    plan->versions = publish_choose_old(generations, (unsigned)option_keep, before);
    if (!find_needed(repo, generations, plan->versions, needed, error))
        return false;
    for (guint i = 0; i < blobs->len; i++) {
        StoreBlob *blob = g_ptr_array_index(blobs, i);

        if (g_hash_table_contains(needed, blob->path) || blob->written >= before)
            continue;
        g_ptr_array_add(plan->blobs, blob);
        plan->bytes += blob->size;
    }
    return true;
}

/* carry_out: versions first: one that is left must never lack a blob. */
static bool
carry_out(PublishRepo *repo, const Plan *plan, GError **error)
{
    for (guint i = 0; i < plan->versions->len; i++)
        if (!store_remove_generation(repo->store, g_array_index(plan->versions, guint64, i), error))
            return false;
    for (guint i = 0; i < plan->blobs->len; i++)
        if (!store_remove_blob(repo->store, ((StoreBlob *)g_ptr_array_index(plan->blobs, i))->path, error))
            return false;
    return true;
}

static void
print_plan(const PublishRepo *repo, const Plan *plan)
{
    g_autofree char *size = cli_format_size(plan->bytes);
    g_autoptr(Json) json = NULL;
    Json *blobs;

    if (!option_json) {
        printf("%s %u versions and %u files, %s\n", option_dry_run ? "would remove" : "removed",
               plan->versions->len, plan->blobs->len, size);
        return;
    }
    json = json_new_object();
    blobs = json_new_array();
    json_set_text(json, "repository", store_location(repo->store));
    json_set_flag(json, "dry_run", option_dry_run);
    json_set_number(json, "versions_removed", plan->versions->len);
    json_set_number(json, "bytes_removed", (int64_t)plan->bytes);
    for (guint i = 0; i < plan->blobs->len; i++)
        json_append_text(blobs, ((StoreBlob *)g_ptr_array_index(plan->blobs, i))->path);
    json_set(json, "files_removed", blobs);
    show_repo_json(json);
}

static bool
prune(PublishRepo *repo, int64_t before, GError **error)
{
    g_autoptr(Index) current = publish_repo_read(repo, error);
    g_autoptr(GPtrArray) blobs = current != NULL ? store_list_blobs(repo->store, error) : NULL;
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    Plan plan = {.blobs = chosen};
    bool is_ok = blobs != NULL && make_plan(repo, blobs, before, &plan, error) &&
                 (option_dry_run || carry_out(repo, &plan, error));

    if (is_ok)
        print_plan(repo, &plan);
    g_clear_pointer(&plan.versions, g_array_unref);
    return is_ok;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;
    int64_t age;

    if (option_keep < 1 || option_keep > MAX_KEEP)
        return error_set_code(error, BASE_ERROR_USAGE, "--keep: a number from 1 to %d is expected", MAX_KEEP);
    if (!cli_parse_age(option_older_than != NULL ? option_older_than : GRACE, &age, error)) {
        g_prefix_error(error, "--older-than: ");
        return false;
    }
    repo = publish_repo_open(argv[0], error);
    /* Clocks of file systems are coarse: an age of 0 includes what was written in this second. */
    return repo != NULL && show_lock(repo, error) &&
           prune(repo, g_get_real_time() / G_USEC_PER_SEC - age + 1, error);
}

const Verb PUBLISH_VERB_REPO_PRUNE = {
    .name = "repo prune",
    .arguments = "DIR",
    .summary = "Forget old versions and remove the files that nothing needs any more",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
