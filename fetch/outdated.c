// SPDX-License-Identifier: Apache-2.0
#include "fetch/outdated.h"

#include <string.h>

static const Catalogue *
catalogue_of(const GPtrArray *catalogues, const char *source)
{
    for (guint i = 0; i < catalogues->len; i++) {
        const Catalogue *catalogue = g_ptr_array_index(catalogues, i);

        if (strcmp(catalogue->source->name, source) == 0)
            return catalogue;
    }
    return NULL;
}

GPtrArray *
outdated_find(const GPtrArray *recorded, const GPtrArray *catalogues)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < recorded->len; i++) {
        const Recorded *have = g_ptr_array_index(recorded, i);
        const Catalogue *catalogue = catalogue_of(catalogues, have->source);
        const IndexEntry *entry = NULL;
        Outdated *outdated;

        if (catalogue != NULL && catalogue->opened.index != NULL && catalogue->refusal == NULL)
            entry = index_lookup(catalogue->opened.index, have->entry->name, have->entry->arch);
        if (entry == NULL || strcmp(entry->name, have->entry->name) != 0 ||
            entry->revision <= have->entry->revision)
            continue;
        outdated = g_new0(Outdated, 1);
        *outdated = (Outdated){have->entry->revision, catalogue, entry};
        g_ptr_array_add(found, outdated);
    }
    return found;
}
