// SPDX-License-Identifier: Apache-2.0
/*
 * virt-depot repo sign: the same index signed again, as the next version with a new expiry. For a timer: a signature
 * that lapses is what protects clients from being held at an old index.
 */
#include "base/cli.h"
#include "publish/history.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>

/* Versions that readers may be in the middle of, and that tell when the index was signed lately. */
#define KEEP_RESIGNED 3u

static int option_valid_days = (int)PUBLISH_VALID_DAYS;
static gboolean option_json;

static const GOptionEntry OPTIONS[] = {
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days, "How long the signature holds (default: 14)",
     "DAYS"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

/* drop_resigned: a daily timer must not fill the disk with versions of the same content. */
static bool
drop_resigned(PublishRepo *repo, GError **error)
{
    g_autoptr(GArray) generations = store_list_generations(repo->store, error);
    g_autoptr(GPtrArray) indexes = g_ptr_array_new_with_free_func((GDestroyNotify)index_free);
    g_autoptr(GArray) resigned = NULL;
    const guint from = generations == NULL || generations->len < KEEP_RESIGNED + 2
                           ? 0
                           : generations->len - (KEEP_RESIGNED + 2);

    if (generations == NULL)
        return false;
    /* Each run drops what the last one left: the newest few are all that have to be looked at. */
    g_array_remove_range(generations, 0, from);
    for (guint i = 0; i < generations->len; i++)
        g_ptr_array_add(indexes, publish_repo_read_version(
                                     repo, g_array_index(generations, StoreGeneration, i).version, NULL));
    resigned = publish_choose_resigned(generations, indexes, KEEP_RESIGNED);
    for (guint i = 0; i < resigned->len; i++)
        if (!store_remove_generation(repo->store, g_array_index(resigned, guint64, i), error))
            return false;
    return true;
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;
    g_autoptr(Index) index = NULL;
    g_autofree char *expires = NULL;

    if (!show_check_valid_days(option_valid_days, error))
        return false;
    repo = publish_repo_open(argv[0], error);
    if (repo == NULL || !show_lock(repo, error))
        return false;
    index = publish_repo_read(repo, error);
    if (index == NULL || !publish_repo_write(repo, index, (unsigned)option_valid_days, error) ||
        !drop_resigned(repo, error))
        return false;
    if (option_json) {
        g_autoptr(Json) json = show_index_json(repo, index);

        show_repo_json(json);
        return true;
    }
    expires = cli_format_time(index->expires);
    printf("version %" G_GUINT64_FORMAT ", %u images, valid until %s\n", index->version, index->entries->len,
           expires);
    return true;
}

const Verb PUBLISH_VERB_REPO_SIGN = {
    .name = "repo sign",
    .arguments = "DIR",
    .summary = "Sign the index again, so that it does not expire",
    .description = "Meant for a daily timer: see virt-depot-repo-sign(1).",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
