// SPDX-License-Identifier: Apache-2.0
#include "guest/seal_plan.h"

#include "guest/plan.h"

#include <fnmatch.h>
#include <string.h>

#define MAX_HOMES 1000u

static unsigned
index_of(const SealRow *row)
{
    g_assert(seal_n_rows() <= SEAL_MAX_OPERATIONS);
    return (unsigned)(row - seal_rows());
}

void
seal_set_defaults(SealSet *set)
{
    for (const SealRow *row = seal_rows(); row->name != NULL; row++)
        if (row->is_default)
            set->has[index_of(row)] = true;
}

bool
seal_set_has(const SealSet *set, const SealRow *row)
{
    return set->has[index_of(row)];
}

bool
seal_set_has_action(const SealSet *set, SealAction action)
{
    for (const SealRow *row = seal_rows(); row->name != NULL; row++)
        if (row->action == action && seal_set_has(set, row))
            return true;
    return false;
}

static bool
change_one(SealSet *set, const char *name, bool value, bool is_plain, GError **error)
{
    bool is_all = !is_plain && strcmp(name, "all") == 0,
         is_defaults = !is_plain && strcmp(name, "defaults") == 0;
    const SealRow *found = seal_row(name);

    if (found == NULL && !is_all && !is_defaults)
        return error_set_code(error, BASE_ERROR_USAGE,
                              "'%s': there is no such operation; --list-operations shows them", name);
    for (const SealRow *row = seal_rows(); row->name != NULL; row++)
        if (row == found || is_all || (is_defaults && row->is_default))
            set->has[index_of(row)] = value;
    return true;
}

bool
seal_set_change(SealSet *set, const char *list, bool is_plain, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, ",", -1);

    if (names[0] == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "the list of operations is empty");
    for (char **name = names; *name != NULL; name++) {
        bool is_out = !is_plain && (*name)[0] == '-';

        if (!change_one(set, *name + is_out, !is_out, is_plain, error))
            return false;
    }
    return true;
}

bool
seal_is_for(const SealRow *row, const GuestInfo *info)
{
    static const char *const REDHAT[] = {"fedora", "rhel",        "centos", "almalinux",
                                         "rocky",  "ol",          "amzn",   "scientificlinux",
                                         "redhat", "oraclelinux", NULL};

    switch (row->guests) {
    case SEAL_ANY:
        return true;
    case SEAL_DEBIAN:
        return plan_family(info) == FAMILY_DEBIAN;
    case SEAL_REDHAT:
        return info->distro != NULL && g_strv_contains(REDHAT, info->distro);
    case SEAL_CLOUD_INIT:
        return info->has_cloud_init;
    }
    g_assert_not_reached();
}

static void
pattern_free(SealPattern *pattern)
{
    g_free(pattern->pattern);
    g_free(pattern);
}

static void
add_pattern(GPtrArray *patterns, const SealRow *row, char *text, bool is_tree)
{
    SealPattern *pattern = g_new0(SealPattern, 1);

    *pattern = (SealPattern){row, text, is_tree};
    g_ptr_array_add(patterns, pattern);
}

static void
add_list(GPtrArray *patterns, const SealRow *row, const char *const *list, bool is_tree,
         const char *const *homes)
{
    for (; list != NULL && *list != NULL; list++) {
        if ((*list)[0] == '/')
            add_pattern(patterns, row, g_strdup(*list), is_tree);
        for (const char *const *home = homes; (*list)[0] == '~' && *home != NULL; home++)
            add_pattern(patterns, row, g_strconcat(*home, *list + 1, NULL), is_tree);
    }
}

GPtrArray *
seal_patterns(const SealSet *set, const GuestInfo *info, const char *const *homes, bool only_remade)
{
    GPtrArray *patterns = g_ptr_array_new_with_free_func((GDestroyNotify)pattern_free);

    for (const SealRow *row = seal_rows(); row->name != NULL; row++) {
        if (!seal_set_has(set, row) || !seal_is_for(row, info) || (only_remade && !row->is_remade))
            continue;
        add_list(patterns, row, row->files, false, homes);
        add_list(patterns, row, row->trees, true, homes);
    }
    return patterns;
}

char *
seal_glob(const GPtrArray *patterns)
{
    GString *glob = g_string_new("/{");

    for (unsigned i = 0; i < patterns->len; i++) {
        const SealPattern *pattern = patterns->pdata[i];

        g_string_append_printf(glob, "%s%s", i > 0 ? "," : "", pattern->pattern + 1);
    }
    g_string_append_c(glob, '}');
    return g_string_free(glob, patterns->len == 0);
}

const SealPattern *
seal_match(const GPtrArray *patterns, const char *path, bool is_folder, unsigned *at)
{
    while (*at < patterns->len) {
        const SealPattern *pattern = patterns->pdata[(*at)++];
        const char *const *kept = pattern->row->kept;

        if ((pattern->is_tree || !is_folder) &&
            fnmatch(pattern->pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0 &&
            (kept == NULL || !g_strv_contains(kept, path)))
            return pattern;
    }
    return NULL;
}

/* Below a folder of its own; "/" would turn "~/.ssh" into anybody's. */
static bool
can_be_home(const char *home)
{
    return home[0] == '/' && home[1] != '\0' && strpbrk(home, "*?[]{},\\~") == NULL;
}

char **
seal_homes(const char *passwd)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_auto(GStrv) lines = g_strsplit(passwd, "\n", -1);
    GPtrArray *homes = g_ptr_array_new();

    g_ptr_array_add(homes, g_strdup("/root"));
    g_ptr_array_add(homes, g_strdup("/home/*"));
    g_hash_table_add(seen, (char *)"/root");
    for (char **line = lines; *line != NULL; line++) {
        g_auto(GStrv) field = g_strsplit(*line, ":", -1);

        if (g_strv_length(field) < 6 || !can_be_home(field[5]) || g_hash_table_contains(seen, field[5]) ||
            (g_str_has_prefix(field[5], "/home/") && strchr(field[5] + strlen("/home/"), '/') == NULL))
            continue;
        g_ptr_array_add(homes, g_strdup(field[5]));
        g_hash_table_add(seen, homes->pdata[homes->len - 1]);
        if (homes->len >= MAX_HOMES)
            break;
    }
    g_ptr_array_add(homes, NULL);
    return (char **)g_ptr_array_free(homes, FALSE);
}
