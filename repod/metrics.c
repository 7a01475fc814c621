// SPDX-License-Identifier: Apache-2.0
/* Counting, and the text format of Prometheus (version 0.0.4). */
#include "repod/metrics.h"

#include <string.h>
#include <time.h>

/* Upper ends in microseconds. The time includes sending, so a large file on a slow line takes minutes. */
static const int64_t buckets[METRICS_BUCKETS] = {100,    500,    1000,    5000,     10000,    50000,
                                                 100000, 500000, 1000000, 10000000, 60000000, 600000000};

static const char *const methods[METRICS_METHODS] = {
    [HTTP_OTHER] = "other", [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_PUT] = "PUT",
    [HTTP_POST] = "POST",   [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

/* One writer: no locked instruction is needed. */
static void
add(atomic_uint_fast64_t *value, uint64_t amount)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

static uint64_t
get(const atomic_uint_fast64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

void
metrics_add(WorkerMetrics *metrics, HttpMethod method, int status, uint64_t bytes, int64_t duration_us)
{
    size_t bucket = 0;

    while (bucket < METRICS_BUCKETS && duration_us > buckets[bucket])
        bucket++;
    add(&metrics->requests[method][CLAMP(status / 100, 0, METRICS_CLASSES - 1)], 1);
    add(&metrics->bytes, bytes);
    add(&metrics->latency[bucket], 1);
    add(&metrics->latency_us, (uint64_t)MAX(duration_us, 0));
}

static void
begin(GString *out, const char *name, const char *kind, const char *help)
{
    g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* append_label: ("name", "value") with what the format wants escaped. */
static void
append_label(GString *out, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    g_string_append_printf(out, "%s=\"", name);
    for (const char *at = valid; *at != '\0'; at++) {
        if (*at == '\n')
            g_string_append(out, "\\n");
        else if (*at == '"' || *at == '\\')
            g_string_append_printf(out, "\\%c", *at);
        else
            g_string_append_c(out, *at);
    }
    g_string_append_c(out, '"');
}

static void
append_number(GString *out, uint64_t value)
{
    g_string_append_printf(out, " %" G_GUINT64_FORMAT "\n", (guint64)value);
}

static uint64_t
sum(const GPtrArray *workers, size_t offset)
{
    uint64_t total = 0;

    for (guint i = 0; i < workers->len; i++) {
        const char *base = g_ptr_array_index(workers, i);

        total += get((const atomic_uint_fast64_t *)(const void *)(base + offset));
    }
    return total;
}

static void
print_latency(GString *out, const GPtrArray *workers)
{
    uint64_t total = 0;

    begin(out, "repod_request_seconds", "histogram",
          "from the end of the request's head to the end of its answer");
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        char end[G_ASCII_DTOSTR_BUF_SIZE];

        total += sum(workers, offsetof(WorkerMetrics, latency) + i * sizeof(atomic_uint_fast64_t));
        g_ascii_formatd(end, sizeof end, "%g", (double)buckets[i] / 1e6);
        g_string_append_printf(out, "repod_request_seconds_bucket{le=\"%s\"}", end);
        append_number(out, total);
    }
    total += sum(workers, offsetof(WorkerMetrics, latency) + METRICS_BUCKETS * sizeof(atomic_uint_fast64_t));
    g_string_append(out, "repod_request_seconds_bucket{le=\"+Inf\"}");
    append_number(out, total);
    {
        char seconds[G_ASCII_DTOSTR_BUF_SIZE];

        g_ascii_formatd(seconds, sizeof seconds, "%.6f",
                        (double)sum(workers, offsetof(WorkerMetrics, latency_us)) / 1e6);
        g_string_append_printf(out, "repod_request_seconds_sum %s\nrepod_request_seconds_count", seconds);
    }
    append_number(out, total);
}

void
metrics_print_totals(GString *out, const GPtrArray *workers)
{
    begin(out, "repod_requests_total", "counter", "answers that have ended");
    for (size_t m = 0; m < METRICS_METHODS; m++) {
        for (size_t c = 0; c < METRICS_CLASSES; c++) {
            const size_t at = (m * METRICS_CLASSES + c) * sizeof(atomic_uint_fast64_t);
            const uint64_t total = sum(workers, offsetof(WorkerMetrics, requests) + at);

            if (total == 0 && !(m == HTTP_GET && c == 2))
                continue;
            g_string_append_printf(out, "repod_requests_total{method=\"%s\",status=\"%zuxx\"}", methods[m],
                                   c);
            append_number(out, total);
        }
    }
    begin(out, "repod_sent_bytes_total", "counter", "of the bodies of answers");
    g_string_append(out, "repod_sent_bytes_total");
    append_number(out, sum(workers, offsetof(WorkerMetrics, bytes)));
    print_latency(out, workers);
}

void
metrics_print_counters(GString *out, const Counters *counters, unsigned n_connections)
{
    begin(out, "repod_open_connections", "gauge", "now");
    g_string_append(out, "repod_open_connections");
    append_number(out, n_connections);
    begin(out, "repod_limit_hits_total", "counter",
          "what was refused or slowed down, by the limit of repod.conf");
    for (Count i = 0; i < N_COUNTS; i++) {
        if (count_texts[i].limit == NULL)
            continue;
        g_string_append(out, "repod_limit_hits_total{");
        append_label(out, "limit", count_texts[i].limit);
        g_string_append_c(out, '}');
        append_number(out, counters_get(counters, i));
    }
    for (Count i = 0; i < N_COUNTS; i++) {
        g_autofree char *name = g_strdup_printf("repod_%s_total", count_texts[i].name);

        if (count_texts[i].name == NULL)
            continue;
        begin(out, name, "counter", count_texts[i].help);
        g_string_append(out, name);
        append_number(out, counters_get(counters, i));
    }
}

void
metrics_print_build(GString *out)
{
    begin(out, "repod_build_info", "gauge", "the version that runs");
    g_string_append(out, "repod_build_info{version=\"" VD_VERSION "\"} 1\n");
}

typedef struct {
    const Site *site;
    ShelfView *view;
} Reading;

typedef void (*PrintSite)(GString *out, const char *name, const Reading *reading);

static void
append_site(GString *out, const char *name, const Reading *reading)
{
    g_string_append_printf(out, "%s{", name);
    append_label(out, "repository", reading->site->config->name);
    g_string_append_c(out, '}');
}

static void
print_valid(GString *out, const char *name, const Reading *reading)
{
    append_site(out, name, reading);
    append_number(out, reading->view->catalogue->problem == NULL ? 1 : 0);
}

static void
print_images(GString *out, const char *name, const Reading *reading)
{
    if (reading->view->catalogue->problem != NULL)
        return;
    append_site(out, name, reading);
    append_number(out, reading->view->catalogue->index->entries->len);
}

static void
print_version(GString *out, const char *name, const Reading *reading)
{
    if (reading->view->catalogue->problem != NULL)
        return;
    append_site(out, name, reading);
    append_number(out, reading->view->catalogue->index->version);
}

static void
append_seconds(GString *out, const char *name, const Reading *reading, int64_t seconds)
{
    append_site(out, name, reading);
    g_string_append_printf(out, " %" G_GINT64_FORMAT "\n", (gint64)seconds);
}

static void
print_age(GString *out, const char *name, const Reading *reading)
{
    if (reading->view->catalogue->problem == NULL)
        append_seconds(out, name, reading, time(NULL) - reading->view->catalogue->signed_at);
}

static void
print_expiry(GString *out, const char *name, const Reading *reading)
{
    if (reading->view->catalogue->expires_at != 0)
        append_seconds(out, name, reading, reading->view->catalogue->expires_at - time(NULL));
}

static void
print_blobs(GString *out, const Reading *reading, const char *name, bool is_bytes)
{
    uint64_t pulls, bytes;

    shelf_sum_counts(reading->site->shelf, NULL, &pulls, &bytes);
    append_site(out, name, reading);
    append_number(out, is_bytes ? bytes : pulls);
}

static void
print_blob_pulls(GString *out, const char *name, const Reading *reading)
{
    print_blobs(out, reading, name, false);
}

static void
print_blob_bytes(GString *out, const char *name, const Reading *reading)
{
    print_blobs(out, reading, name, true);
}

/* Of all revisions that are kept. */
static void
sum_image(const Reading *reading, const IndexEntry *entry, uint64_t *out_pulls, uint64_t *out_bytes)
{
    const GPtrArray *history = catalogue_history(reading->view->catalogue, entry);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) paths = g_ptr_array_new();

    for (guint i = 0; history != NULL && i < history->len; i++) {
        const CatalogueRevision *revision = g_ptr_array_index(history, i);

        if (g_hash_table_add(seen, revision->file))
            g_ptr_array_add(paths, revision->file);
    }
    shelf_sum_counts(reading->site->shelf, paths, out_pulls, out_bytes);
}

static void
print_image(GString *out, const Reading *reading, const char *name, bool is_bytes)
{
    const Catalogue *catalogue = reading->view->catalogue;

    for (guint i = 0; catalogue->problem == NULL && i < catalogue->index->entries->len; i++) {
        const IndexEntry *entry = g_ptr_array_index(catalogue->index->entries, i);
        uint64_t pulls, bytes;

        sum_image(reading, entry, &pulls, &bytes);
        if (pulls == 0 && bytes == 0)
            continue; /* thousands of zeros say nothing */
        g_string_append_printf(out, "%s{", name);
        append_label(out, "repository", reading->site->config->name);
        g_string_append_c(out, ',');
        append_label(out, "image", entry->name);
        g_string_append_c(out, ',');
        append_label(out, "arch", entry->arch);
        g_string_append_c(out, '}');
        append_number(out, is_bytes ? bytes : pulls);
    }
}

static void
print_image_pulls(GString *out, const char *name, const Reading *reading)
{
    print_image(out, reading, name, false);
}

static void
print_image_bytes(GString *out, const char *name, const Reading *reading)
{
    print_image(out, reading, name, true);
}

void
metrics_print_sites(GString *out, const Runtime *runtime)
{
    static const struct {
        const char *name, *kind, *help;
        PrintSite print;
    } families[] = {
        {"repod_index_valid", "gauge", "whether the index that is served verifies", print_valid},
        {"repod_index_version", "gauge", "of the index", print_version},
        {"repod_index_images", "gauge", "in the index", print_images},
        {"repod_index_age_seconds", "gauge", "since the index was signed", print_age},
        {"repod_index_expires_seconds", "gauge", "until clients refuse the index; negative: they do",
         print_expiry},
        {"repod_blob_pulls_total", "counter", "answers that began at the first byte of a blob",
         print_blob_pulls},
        {"repod_blob_bytes_total", "counter", "sent of blobs", print_blob_bytes},
        {"repod_image_pulls_total", "counter", "the same of the images in the index", print_image_pulls},
        {"repod_image_bytes_total", "counter", "sent of them", print_image_bytes},
    };
    const guint n = runtime->sites->len;
    g_autofree Reading *readings = g_new0(Reading, MAX(n, 1));

    for (guint i = 0; i < n; i++) {
        readings[i].site = g_ptr_array_index(runtime->sites, i);
        readings[i].view = shelf_read(readings[i].site->shelf);
    }
    for (size_t f = 0; f < G_N_ELEMENTS(families); f++) {
        begin(out, families[f].name, families[f].kind, families[f].help);
        for (guint i = 0; i < n; i++)
            families[f].print(out, families[f].name, &readings[i]);
    }
    for (guint i = 0; i < n; i++)
        shelf_view_unref(readings[i].view);
}
