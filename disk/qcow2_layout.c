// SPDX-License-Identifier: Apache-2.0
/*
 * A qcow2 v3 image (qemu's docs/interop/qcow2.txt) laid out from the hole map alone, so that whoever has any part of the raw
 * image can write it at its final place, and nothing is converted afterwards. In clusters: header, refcount table, refcount
 * blocks, L1 table, L2 tables, then one cluster for each of the image that has data, in the image's order. Pure.
 */
#include "disk/qcow2_layout.h"

#include "disk/header.h"

#include <string.h>

#define CLUSTER DISK_LAYOUT_CLUSTER
#define CLUSTER_BITS 16u
#define SECTOR 512u
#define ENTRIES (CLUSTER / 8)  /* of a table, per cluster */
#define COUNTERS (CLUSTER / 2) /* of a refcount block: 16 bits each */
#define REFCOUNT_ORDER 4u
#define COPIED (1ull << 63) /* the refcount is exactly one */
#define CLUSTERS(n, per) (((n) + (per)-1) / (per))

typedef struct {
    uint64_t guest, n, host; /* clusters: of the image; how many; the first one's number among all data */
} Run;

struct DiskLayout {
    uint64_t size;                               /* virtual */
    GArray *runs;                                /* (element-type Run) */
    uint64_t n_data, n_l2, n_l1, n_table, n_ref; /* clusters of each kind */
};

DiskLayout *
disk_layout_new(uint64_t size, const char *name, GError **error)
{
    DiskLayout *layout;

    if (size == 0 || size > DISK_LAYOUT_MAX_SIZE) {
        error_set(error, "%s: a qcow2 image of %" G_GUINT64_FORMAT " bytes cannot be made", name,
                  (guint64)size);
        return NULL;
    }
    layout = g_new0(DiskLayout, 1);
    layout->size = CLUSTERS(size, SECTOR) * SECTOR; /* qemu counts sectors, and rounds raw files up */
    layout->runs = g_array_new(FALSE, FALSE, sizeof(Run));
    return layout;
}

void
disk_layout_free(DiskLayout *layout)
{
    if (layout == NULL)
        return;
    g_array_unref(layout->runs);
    g_free(layout);
}

void
disk_layout_add(DiskLayout *layout, uint64_t start, uint64_t end)
{
    Run *last = layout->runs->len > 0 ? &g_array_index(layout->runs, Run, layout->runs->len - 1) : NULL;
    uint64_t first = start / CLUSTER, stop = CLUSTERS(end, CLUSTER);
    Run run = {first, stop - first, 0};

    g_assert(start < end && end <= layout->size && (last == NULL || first + 1 >= last->guest + last->n));
    /* Of too many runs the last one takes all: a place for zeroes is never wrong. */
    if (last != NULL && (first <= last->guest + last->n || layout->runs->len >= DISK_LAYOUT_MAX_RUNS))
        last->n = stop - last->guest;
    else
        g_array_append_val(layout->runs, run);
}

static const Run *
run_at(const DiskLayout *layout, guint i)
{
    return &g_array_index(layout->runs, Run, i);
}

/* The places of all clusters before the data. */
static uint64_t
data_start(const DiskLayout *layout)
{
    return 1 + layout->n_table + layout->n_ref + layout->n_l1 + layout->n_l2;
}

void
disk_layout_close(DiskLayout *layout)
{
    uint64_t next_l2 = 0, before;

    layout->n_l1 = CLUSTERS(CLUSTERS(layout->size, (uint64_t)ENTRIES * CLUSTER), ENTRIES);
    for (guint i = 0; i < layout->runs->len; i++) {
        Run *run = &g_array_index(layout->runs, Run, i);
        uint64_t first = MAX(run->guest / ENTRIES, next_l2), end = (run->guest + run->n - 1) / ENTRIES + 1;

        run->host = layout->n_data;
        layout->n_data += run->n;
        layout->n_l2 += end - MIN(first, end);
        next_l2 = MAX(next_l2, end);
    }
    do { /* the refcounts count themselves */
        before = layout->n_ref + layout->n_table;
        layout->n_ref = CLUSTERS(data_start(layout) + layout->n_data, COUNTERS);
        layout->n_table = CLUSTERS(layout->n_ref, ENTRIES);
    } while (layout->n_ref + layout->n_table != before);
}

uint64_t
disk_layout_file_size(const DiskLayout *layout)
{
    return (data_start(layout) + layout->n_data) * CLUSTER;
}

uint64_t
disk_layout_virtual_size(const DiskLayout *layout)
{
    return layout->size;
}

/* The first run that ends after @cluster; runs->len for none. */
static guint
find_run(const DiskLayout *layout, uint64_t cluster)
{
    guint low = 0, high = layout->runs->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const Run *run = run_at(layout, middle);

        if (run->guest + run->n <= cluster)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
disk_layout_next(const DiskLayout *layout, uint64_t from, uint64_t end, uint64_t *out_start,
                 uint64_t *out_end, uint64_t *out_file_at)
{
    guint i = find_run(layout, from / CLUSTER);
    const Run *run;
    uint64_t start;

    if (i == layout->runs->len || from >= end)
        return false;
    run = run_at(layout, i);
    start = MAX(from, run->guest * CLUSTER);
    if (start >= end)
        return false;
    *out_start = start;
    *out_end = MIN(end, (run->guest + run->n) * CLUSTER);
    *out_file_at = (data_start(layout) + run->host) * CLUSTER + (start - run->guest * CLUSTER);
    return true;
}

uint8_t *
disk_layout_header(const DiskLayout *layout)
{
    uint8_t *header = g_malloc0(CLUSTER); /* the end of the extensions is eight zero bytes */

    disk_header_put32(header, QCOW2_MAGIC);
    disk_header_put32(header + 4, 3);
    disk_header_put32(header + 20, CLUSTER_BITS);
    disk_header_put64(header + 24, layout->size);
    disk_header_put32(header + 36, (uint32_t)CLUSTERS(layout->size, (uint64_t)ENTRIES * CLUSTER));
    disk_header_put64(header + 40, (1 + layout->n_table + layout->n_ref) * CLUSTER);
    disk_header_put64(header + 48, CLUSTER); /* the refcount table follows the header */
    disk_header_put32(header + 56, (uint32_t)layout->n_table);
    disk_header_put32(header + 96, REFCOUNT_ORDER);
    disk_header_put32(header + 100, QCOW2_V3_HEADER);
    return header;
}

/* Tables are made one cluster at a time. */
typedef struct {
    DiskPut put;
    void *context;
    uint64_t cluster; /* of the file */
    uint8_t data[CLUSTER];
} Writer;

static bool
put_cluster(Writer *writer, GError **error)
{
    bool is_ok =
        writer->put(writer->context, writer->data, CLUSTER, writer->cluster++ * (uint64_t)CLUSTER, error);

    memset(writer->data, 0, CLUSTER);
    return is_ok;
}

static bool
put_refcounts(const DiskLayout *layout, Writer *writer, GError **error)
{
    uint64_t total = data_start(layout) + layout->n_data, blocks = 1 + layout->n_table;

    for (uint64_t at = 0; at < layout->n_ref; at += ENTRIES) {
        for (uint64_t i = 0; i < MIN(ENTRIES, layout->n_ref - at); i++)
            disk_header_put64(writer->data + 8 * i, (blocks + at + i) * CLUSTER);
        if (!put_cluster(writer, error))
            return false;
    }
    for (uint64_t at = 0; at < layout->n_ref * COUNTERS; at += COUNTERS) {
        for (uint64_t i = 0; i < MIN(COUNTERS, total - at); i++)
            writer->data[2 * i + 1] = 1;
        if (!put_cluster(writer, error))
            return false;
    }
    return true;
}

static bool
has_data(const DiskLayout *layout, uint64_t l2)
{
    guint i = find_run(layout, l2 * ENTRIES);

    return i < layout->runs->len && run_at(layout, i)->guest < (l2 + 1) * ENTRIES;
}

static bool
put_l1(const DiskLayout *layout, Writer *writer, GError **error)
{
    uint64_t tables = 1 + layout->n_table + layout->n_ref + layout->n_l1;

    for (uint64_t at = 0; at < layout->n_l1 * ENTRIES; at += ENTRIES) {
        for (uint64_t i = 0; i < ENTRIES; i++)
            if (has_data(layout, at + i))
                disk_header_put64(writer->data + 8 * i, (tables++ * CLUSTER) | COPIED);
        if (!put_cluster(writer, error))
            return false;
    }
    return true;
}

static bool
put_l2(const DiskLayout *layout, Writer *writer, GError **error)
{
    uint64_t entries = CLUSTERS(layout->size, CLUSTER);

    for (uint64_t l2 = 0; l2 * ENTRIES < entries; l2++) {
        uint64_t at = l2 * ENTRIES * CLUSTER, end = at + (uint64_t)ENTRIES * CLUSTER, start, stop, place;

        if (!has_data(layout, l2))
            continue;
        for (; disk_layout_next(layout, at, end, &start, &stop, &place); at = stop)
            for (uint64_t i = start / CLUSTER; i < stop / CLUSTER; i++)
                disk_header_put64(writer->data + 8 * (i % ENTRIES), (place + i * CLUSTER - start) | COPIED);
        if (!put_cluster(writer, error))
            return false;
    }
    return true;
}

bool
disk_layout_put_tables(const DiskLayout *layout, DiskPut put, void *context, GError **error)
{
    g_autofree Writer *writer = g_new0(Writer, 1);

    *writer = (Writer){.put = put, .context = context, .cluster = 1};
    return put_refcounts(layout, writer, error) && put_l1(layout, writer, error) &&
           put_l2(layout, writer, error);
}

DiskLayout *
disk_layout_of_manifest(const DiskManifest *manifest, const char *name, GError **error)
{
    DiskLayout *layout = disk_layout_new(manifest->raw_size, name, error);
    uint64_t at = 0, start;

    if (layout == NULL)
        return NULL;
    while (disk_manifest_next_data(manifest, at, manifest->raw_size, &start, &at))
        disk_layout_add(layout, start, at);
    disk_layout_close(layout);
    return layout;
}
