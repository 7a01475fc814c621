// SPDX-License-Identifier: Apache-2.0
/* virt-depot repo remove: images out of the index. Their blobs stay until a prune: clients may hold the older index. */
#include "base/cli.h"
#include "publish/publish.h"
#include "publish/retired.h"
#include "publish/show.h"

#include <stdio.h>
#include <string.h>

static char *option_arch;
static int option_valid_days = (int)PUBLISH_VALID_DAYS;
static gboolean option_json, option_dry_run;

static const GOptionEntry OPTIONS[] = {
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Only the image for this architecture", "ARCH"},
    {"valid-days", 0, 0, G_OPTION_ARG_INT, &option_valid_days, "How long the signature holds (default: 14)",
     "DAYS"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print the result as JSON", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Say what would be removed and change nothing",
     NULL},
    G_OPTION_ENTRY_NULL,
};

/* choose: (element-type IndexEntry) what @name means; more than one architecture has to be chosen from. */
static bool
choose(const Index *index, const char *name, GPtrArray *chosen, GError **error)
{
    const char *arch = option_arch != NULL ? index_normal_arch(option_arch) : NULL;
    g_autoptr(GString) archs = g_string_new(NULL);
    const guint before = chosen->len;

    for (guint i = 0; i < index->entries->len; i++) {
        IndexEntry *entry = g_ptr_array_index(index->entries, i);

        if (strcmp(entry->name, name) != 0 || (arch != NULL && strcmp(entry->arch, arch) != 0))
            continue;
        if (!g_ptr_array_find(chosen, entry, NULL))
            g_ptr_array_add(chosen, entry);
        g_string_append_printf(archs, "%s%s", archs->len > 0 ? ", " : "", entry->arch);
    }
    if (archs->len == 0)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "the repository has no image '%s'%s%s", name,
                              arch != NULL ? " for " : "", arch != NULL ? arch : "");
    if (chosen->len > before + 1)
        return error_set_code(error, BASE_ERROR_USAGE, "'%s' is published for %s: say which with --arch",
                              name, archs->str);
    return true;
}

static void
print_removed(const PublishRepo *repo, const Index *index, const GPtrArray *removed)
{
    g_autoptr(Json) json = show_index_json(repo, index);
    Json *images = json_new_array();

    json_set_flag(json, "dry_run", option_dry_run);
    for (guint i = 0; i < removed->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(removed, i);
        Json *image = json_new_object();

        json_set_text(image, "name", entry->name);
        json_set_text(image, "arch", entry->arch);
        json_set_number(image, "revision", (int64_t)entry->revision);
        json_append(images, image);
        if (!option_json)
            printf("%s %s (%s) revision %" G_GUINT64_FORMAT "\n", option_dry_run ? "would remove" : "removed",
                   entry->name, entry->arch, entry->revision);
    }
    json_set(json, "removed", images);
    if (option_json)
        show_repo_json(json);
}

/* take_out: the chosen entries from the index; (transfer full) the array owns them from now on. */
static GPtrArray *
take_out(Index *index, const GPtrArray *chosen)
{
    GPtrArray *removed = g_ptr_array_new_with_free_func((GDestroyNotify)index_entry_free);

    for (guint i = 0; i < chosen->len; i++) {
        IndexEntry *entry = g_ptr_array_index(chosen, i);

        g_ptr_array_add(removed, index_entry_copy(entry));
        g_ptr_array_remove(index->entries, entry);
    }
    return removed;
}

static bool
run(int argc, char **argv, GError **error)
{
    g_autoptr(PublishRepo) repo = NULL;
    g_autoptr(Index) index = NULL;
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    g_autoptr(GPtrArray) removed = NULL;

    if (!show_check_valid_days(option_valid_days, error))
        return false;
    repo = publish_repo_open(argv[0], error);
    if (repo == NULL || !show_lock(repo, error))
        return false;
    index = publish_repo_read(repo, error);
    if (index == NULL)
        return false;
    for (int i = 1; i < argc; i++)
        if (!choose(index, argv[i], chosen, error))
            return false;
    removed = take_out(index, chosen);
    /* Remembered first: a revision too many in the notes does no harm. */
    if (!option_dry_run && !publish_retired_add(repo->store, removed, error))
        return false;
    if (!option_dry_run && !publish_repo_write(repo, index, (unsigned)option_valid_days, error))
        return false;
    print_removed(repo, index, removed);
    if (!option_dry_run)
        cli_note("the image files stay for clients with the older index; 'virt-depot repo prune' removes "
                 "them later");
    return true;
}

const Verb PUBLISH_VERB_REPO_REMOVE = {
    .name = "repo remove",
    .arguments = "DIR IMAGE...",
    .summary = "Stop publishing images",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = -1,
    .run = run,
};
