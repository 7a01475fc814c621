// SPDX-License-Identifier: Apache-2.0
/* virt-depot repo check: whether a repository is whole: signatures, index, files, leftovers. */
#include "base/cli.h"
#include "base/pool.h"
#include "base/progress.h"
#include "publish/check.h"
#include "publish/publish.h"
#include "publish/show.h"

#include <stdio.h>

static gboolean option_fix, option_quick, option_json;

static const GOptionEntry OPTIONS[] = {
    {"fix", 0, 0, G_OPTION_ARG_NONE, &option_fix, "Remove files that no version needs, and mend links", NULL},
    {"quick", 0, 0, G_OPTION_ARG_NONE, &option_quick, "Compare sizes only, do not read the files", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
print_result(const PublishRepo *repo, const PublishCheck *check)
{
    g_autoptr(Json) json = json_new_object();
    Json *fixed = json_new_array();

    for (guint i = 0; i < check->fixed->len; i++) {
        json_append_text(fixed, g_ptr_array_index(check->fixed, i));
        if (!option_json)
            printf("%s\n", (const char *)g_ptr_array_index(check->fixed, i));
    }
    json_set_text(json, "repository", store_location(repo->store));
    json_set_number(json, "images", check->n_images);
    json_set_number(json, "files", check->n_files);
    json_set_flag(json, "trusted", check->is_trusted);
    json_set(json, "findings", finding_list_json(check->findings));
    json_set(json, "fixed", fixed);
    if (option_json) {
        show_repo_json(json);
        return;
    }
    finding_print_list(check->findings);
    if (finding_count(check->findings, FINDING_WARNING) == 0)
        printf("%s: %u images and %u files are as they should be\n", store_location(repo->store),
               check->n_images, check->n_files);
}

static bool
run(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    const PublishCheckOptions options = {option_fix, option_quick, pool_default_threads()};
    g_autoptr(PublishRepo) repo = publish_repo_open_reader(argv[0], error);
    g_auto(PublishCheck) check = {0};
    guint errors;

    if (option_json)
        progress_disable();
    if (repo == NULL || (option_fix && !show_lock(repo, error)) ||
        !publish_check(repo, &options, &check, error))
        return false;
    print_result(repo, &check);
    errors = finding_count(check.findings, FINDING_ERROR);
    if (!check.is_trusted)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: its signatures do not hold",
                              store_location(repo->store));
    return errors == 0 || error_set(error, "%s: %u problems", store_location(repo->store), errors);
}

const Verb PUBLISH_VERB_REPO_CHECK = {
    .name = "repo check",
    .arguments = "DIR",
    .summary = "Check a repository's signatures, index and files",
    .options = OPTIONS,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
