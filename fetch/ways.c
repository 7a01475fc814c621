// SPDX-License-Identifier: Apache-2.0
/* Images are nodes and deltas edges: the shortest way, found from its end. An entry has few deltas, so every edge is looked at
 * until nothing becomes shorter. */
#include "fetch/ways.h"

#include <string.h>

#define MAX_DELTAS 64u /* that are looked at; ours have at most 24 */
#define NO_WAY G_MAXUINT64

typedef struct {
    IndexDelta delta;
    uint64_t cost; /* bytes from its base to the end; NO_WAY: it does not lead there, as far as is known */
    unsigned length;
    const void *next; /* the edge after it; NULL: it is the last */
} Edge;

static unsigned
read_edges(const IndexEntry *entry, Edge *edges)
{
    unsigned n = 0;

    for (guint i = 0; i < entry->extensions->len && n < MAX_DELTAS; i++) {
        const IndexField *field = g_ptr_array_index(entry->extensions, i);
        IndexDelta delta;

        if (index_delta_parse(entry, field, &delta) || index_step_parse(entry, field, &delta))
            edges[n++] = (Edge){.delta = delta, .cost = NO_WAY};
    }
    return n;
}

static bool
shorten(Edge *edge, uint64_t rest, const Edge *next)
{
    unsigned length = next != NULL ? next->length + 1 : 1;
    uint64_t cost = edge->delta.size + rest;

    if (rest == NO_WAY || cost < rest || cost > edge->cost || (cost == edge->cost && length >= edge->length))
        return false;
    edge->cost = cost;
    edge->length = length;
    edge->next = next;
    return true;
}

static bool
shorten_all(const IndexEntry *entry, Edge *edges, unsigned n)
{
    bool has_changed = false;

    for (unsigned i = 0; i < n; i++) {
        if (g_ascii_strcasecmp(edges[i].delta.to_sha512, entry->sha512) == 0)
            has_changed = shorten(&edges[i], 0, NULL) || has_changed;
        for (unsigned k = 0; k < n; k++)
            if (g_ascii_strcasecmp(edges[i].delta.to_sha512, edges[k].delta.base_sha512) == 0)
                has_changed = shorten(&edges[i], edges[k].cost, &edges[k]) || has_changed;
    }
    return has_changed;
}

GArray *
ways_find(const IndexEntry *entry, WaysIsHere is_here, void *context, uint64_t *out_size)
{
    g_autofree Edge *edges = g_new0(Edge, MAX_DELTAS);
    unsigned n = entry->sha512 != NULL ? read_edges(entry, edges) : 0;
    const Edge *best = NULL;
    GArray *way;

    for (unsigned round = 0; round < n && shorten_all(entry, edges, n); round++)
        ;
    for (unsigned i = 0; i < n; i++)
        if (edges[i].cost != NO_WAY &&
            (best == NULL || edges[i].cost < best->cost ||
             (edges[i].cost == best->cost && edges[i].length < best->length)) &&
            is_here(context, edges[i].delta.base_sha512))
            best = &edges[i];
    if (best == NULL)
        return NULL;
    *out_size = best->cost;
    way = g_array_new(FALSE, FALSE, sizeof(IndexDelta));
    for (; best != NULL; best = best->next)
        g_array_append_val(way, best->delta);
    return way;
}
