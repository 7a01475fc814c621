// SPDX-License-Identifier: Apache-2.0
/* Which image a name means. Pure: catalogues in, one entry out. */
#include "fetch/catalogue.h"

#include <string.h>

bool
catalogue_split_ref(const char *ref, char **out_source, char **out_name, GError **error)
{
    const char *slash = strchr(ref, '/');
    g_autofree char *source = slash == NULL ? NULL : g_strndup(ref, (gsize)(slash - ref));
    const char *name = slash == NULL ? ref : slash + 1;

    if (!index_is_name(name) || (source != NULL && !source_is_name(source)))
        return error_set_code(
            error, BASE_ERROR_USAGE,
            "'%s': not an image's name: NAME or SOURCE/NAME of letters, digits, '-', '_' and '.'", ref);
    *out_source = g_steal_pointer(&source);
    *out_name = g_strdup(name);
    return true;
}

typedef struct {
    const Catalogue *catalogue;
    const IndexEntry *entry;
} Match;

/* Name before alias, usable before refused, then priority, then the highest revision; the first source of equals. */
static bool
is_better(const Match *match, const Match *best, const char *name)
{
    bool is_usable = match->catalogue->refusal == NULL, is_named = strcmp(match->entry->name, name) == 0;
    bool best_usable, best_named;

    if (best->entry == NULL)
        return true;
    best_usable = best->catalogue->refusal == NULL;
    best_named = strcmp(best->entry->name, name) == 0;
    if (is_named != best_named)
        return is_named;
    if (is_usable != best_usable)
        return is_usable;
    if (match->catalogue->source->priority != best->catalogue->source->priority)
        return match->catalogue->source->priority > best->catalogue->source->priority;
    return match->entry->revision > best->entry->revision;
}

/* Nothing was found: a source that failed is the likelier reason than a wrong name; distrust before absence. */
static void
explain_absence(GPtrArray *catalogues, const char *ref, const char *source, const char *arch, GError **error)
{
    const GError *reason = NULL;

    for (guint i = 0; i < catalogues->len; i++) {
        const Catalogue *catalogue = g_ptr_array_index(catalogues, i);

        if (catalogue->failure == NULL || (source != NULL && strcmp(source, catalogue->source->name) != 0))
            continue;
        if (reason == NULL || g_error_matches(catalogue->failure, BASE_ERROR, BASE_ERROR_UNTRUSTED))
            reason = catalogue->failure;
    }
    if (reason != NULL)
        g_propagate_prefixed_error(error, g_error_copy(reason), "%s: ", ref);
    else if (catalogues->len == 0)
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there are no sources; see virt-depot-source-add(1)",
                       ref);
    else
        error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: no source has such an image for %s", ref, arch);
}

const IndexEntry *
catalogue_find(GPtrArray *catalogues, const char *ref, const char *arch, const Catalogue **out_catalogue,
               GError **error)
{
    g_autofree char *source = NULL, *name = NULL;
    Match best = {0};

    if (!catalogue_split_ref(ref, &source, &name, error))
        return NULL;
    for (guint i = 0; i < catalogues->len; i++) {
        Match match = {.catalogue = g_ptr_array_index(catalogues, i)};

        if (match.catalogue->opened.index == NULL ||
            (source != NULL && strcmp(source, match.catalogue->source->name) != 0))
            continue;
        match.entry = index_lookup(match.catalogue->opened.index, name, arch);
        if (match.entry != NULL && is_better(&match, &best, name))
            best = match;
    }
    if (best.entry == NULL) {
        explain_absence(catalogues, ref, source, arch, error);
        return NULL;
    }
    *out_catalogue = best.catalogue;
    return best.entry;
}
