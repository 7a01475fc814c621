// SPDX-License-Identifier: Apache-2.0
/* Everything that can be said about one index file, in the order of its lines. */
#include "index/index.h"
#include "index/stock.h"

#include <string.h>

/* By line; of one line the worst first. */
static int
compare(gconstpointer a, gconstpointer b)
{
    const Finding *first = *(Finding *const *)a, *second = *(Finding *const *)b;

    if (first->line != second->line)
        return first->line < second->line ? -1 : 1;
    return (int)second->severity - (int)first->severity;
}

Index *
index_check(GBytes *file, GBytes *text, const char *path, bool is_strict, GPtrArray *findings)
{
    unsigned before = 0;
    g_autoptr(GBytes) body = index_body(file, &before);
    g_autoptr(GPtrArray) problems = NULL, found = finding_list_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(Index) index = index_parse(text == NULL ? body : text, path, &problems, &error);
    gsize size;
    const char *data = g_bytes_get_data(file, &size);

    if (index == NULL)
        finding_add(found, FINDING_ERROR, path, 0, "%s", error->message + strlen(path) + 2);
    for (guint i = 0; problems != NULL && i < problems->len; i++) {
        const IndexProblem *problem = g_ptr_array_index(problems, i);

        finding_add(found, FINDING_ERROR, path, problem->line == 0 ? 0 : problem->line + before, "%s",
                    problem->message);
    }
    if (is_strict && index != NULL && size > 0 && memchr(data, '\0', size) == NULL)
        index_stock_check(data, size, path, found);
    g_ptr_array_sort(found, compare);
    g_ptr_array_extend_and_steal(findings, g_steal_pointer(&found));
    return g_steal_pointer(&index);
}
