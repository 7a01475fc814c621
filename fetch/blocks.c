// SPDX-License-Identifier: Apache-2.0
/*
 * The pipeline. The caller's thread is the network's: it wants blocks, compares what comes with their digests, and passes it
 * on; a pool decodes and writes. What is wanted but not yet written is limited in bytes, so memory is, whatever the image.
 *
 * There is no journal of what is done: after a kill -9 the file itself is compared with the manifest, which takes half a
 * second per GB and core, cannot be wrong, and finds what a lost power supply took back.
 */
#include "base/cli.h"
#include "base/pool.h"
#include "fetch/access.h"
#include "fetch/job.h"
#include "fetch/stock.h"
#include "net/net.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* Packed bytes that are asked for or wait for a decoder: three blocks of an image that does not shrink, so that one is decoded
 * while the next ones come; of others four requests under way, and more between them and the decoders. */
#define WINDOW_BYTES (51u << 20)
/* All decoders together: each needs its dictionary, at most as large as a block, and DISK_UNPACK_BYTES. */
#define DECODERS_BYTES (512u << 20)
/* The same as long as it is not known yet which codec is sooner there: so much may be asked for in the wrong one. */
#define UNKNOWN_BYTES (16u << 20)
#define SMALL_BYTES (1u << 20) /* packed: comes in a tenth of a second over 100 Mbit/s */
#define FILE_XZ 0u
#define FILE_TWIN 1u

typedef struct {
    const Job *job;
    const DiskManifest *manifest;
    DiskManifest *twin; /* (nullable) */
    char *twin_file;
    const DiskTarget *target;
    bool *is_there;        /* for each block; while the pool compares or decodes, each thread has its own */
    uint64_t missing_data; /* bytes that are still to be written */
    NetRanges *ranges;
    Progress *progress;
    guint *order;        /* (length left at first) blocks to want, in that order */
    guint n_order, next; /* of @order */
    bool is_xz_measured; /* or will be: a block was wanted */

    pthread_mutex_t lock; /* guards what follows */
    CodecFacts facts;
    uint64_t held; /* packed bytes of blocks that are wanted and not yet written */
    guint left;    /* blocks that are not yet written */
    GError *error; /* a decoder's first one */
} Blocks;

static void
blocks_clear(Blocks *blocks)
{
    net_ranges_free(blocks->ranges);
    progress_free(blocks->progress);
    pthread_mutex_destroy(&blocks->lock);
    g_clear_error(&blocks->error);
    g_free(blocks->is_there);
    g_free(blocks->order);
    disk_manifest_free(blocks->twin);
    g_free(blocks->twin_file);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Blocks, blocks_clear)

static const DiskManifestBlock *
place_of(const Blocks *blocks, guint number)
{
    return &g_array_index(blocks->manifest->blocks, DiskManifestBlock, number);
}

static const DiskManifest *
manifest_of(const Blocks *blocks, unsigned file)
{
    return file == FILE_TWIN ? blocks->twin : blocks->manifest;
}

static uint32_t
packed_size(const Blocks *blocks, unsigned file, guint number)
{
    return g_array_index(manifest_of(blocks, file)->blocks, DiskManifestBlock, number).packed_size;
}

/* ---- what is missing ---- */

static uint64_t
data_in(const DiskManifest *manifest, const DiskManifestBlock *place)
{
    uint64_t at = place->raw_offset, end = at + place->raw_size, start, sum = 0;

    for (; disk_manifest_next_data(manifest, at, end, &start, &at); sum += at - start)
        ;
    return sum;
}

/* What has to be fetched, from is_there into left, missing_data, and the progress. */
static void
count_missing(Blocks *blocks)
{
    const DiskManifest *manifest = blocks->manifest;
    g_autofree char *label = g_strdup_printf("pull %s", blocks->job->entry->name);
    uint64_t packed = 0, there = 0;

    for (guint i = 0; i < manifest->blocks->len; i++) {
        const DiskManifestBlock *place = place_of(blocks, i);

        if (disk_block_is_hole(manifest, i)) {
            blocks->is_there[i] = true; /* by now, whatever was there */
            continue;
        }
        packed += place->packed_size;
        there += blocks->is_there[i] ? place->packed_size : 0;
        blocks->left += !blocks->is_there[i];
        blocks->missing_data += blocks->is_there[i] ? 0 : data_in(manifest, place);
    }
    blocks->progress = progress_new(label, packed);
    progress_skip(blocks->progress, there);
}

/* Halving sizes, in the order of the file within each: so the last block to come is a small one, and there is little to unpack
 * once the network has done its work; and blocks side by side still share a request. */
static gint
compare_classes(gconstpointer a, gconstpointer b, gpointer context)
{
    const guint *first = a, *second = b;
    guint class_of_first = g_bit_storage(packed_size(context, FILE_XZ, *first));
    guint class_of_second = g_bit_storage(packed_size(context, FILE_XZ, *second));

    if (class_of_first != class_of_second)
        return class_of_first > class_of_second ? -1 : 1;
    return *first < *second ? -1 : *first > *second;
}

/* Before all others a small one for each connection: the decoders need not wait until the first large one is there. */
static void
begin_with_small_ones(Blocks *blocks)
{
    guint *order = blocks->order, n = 0;

    for (guint i = 0; i < blocks->n_order && n < NET_RANGES_CONNECTIONS; i++) {
        guint number = order[i];

        if (packed_size(blocks, FILE_XZ, number) > SMALL_BYTES)
            continue;
        memmove(order + n + 1, order + n, (i - n) * sizeof *order);
        order[n++] = number;
    }
}

static void
put_in_order(Blocks *blocks)
{
    blocks->order = g_new(guint, blocks->left);
    for (guint i = 0; i < blocks->manifest->blocks->len; i++)
        if (!blocks->is_there[i])
            blocks->order[blocks->n_order++] = i;
    if (blocks->twin == NULL) /* of zstd the small ones have most to unpack for what they weigh */
        g_qsort_with_data(blocks->order, (gint)blocks->n_order, sizeof *blocks->order, compare_classes,
                          blocks);
    begin_with_small_ones(blocks);
}

/* ---- the decoders ---- */

typedef struct {
    Blocks *blocks;
    DiskBlock *block;
    unsigned file;
    guint number;
} Unpack;

static bool
has_failed(Blocks *blocks)
{
    bool result;

    pthread_mutex_lock(&blocks->lock);
    result = blocks->error != NULL;
    pthread_mutex_unlock(&blocks->lock);
    return result;
}

/* @error is taken. */
static void
note_end(const Unpack *unpack, bool is_written, uint64_t cpu_us, GError *error)
{
    Blocks *blocks = unpack->blocks;
    uint32_t size = packed_size(blocks, unpack->file, unpack->number);

    pthread_mutex_lock(&blocks->lock);
    blocks->held -= size;
    blocks->left -= is_written;
    if (unpack->file == FILE_XZ) {
        blocks->facts.xz_bytes += size;
        blocks->facts.xz_cpu_us += cpu_us;
    }
    if (blocks->error == NULL)
        blocks->error = g_steal_pointer(&error);
    pthread_mutex_unlock(&blocks->lock);
    g_clear_error(&error);
}

static uint64_t
thread_cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static void
unpack(void *data)
{
    Unpack *unpack = data;
    Blocks *blocks = unpack->blocks;
    const DiskManifestBlock *place = place_of(blocks, unpack->number);
    uint64_t before = thread_cpu_us();
    GError *error = NULL;
    bool is_written = !has_failed(blocks) && disk_block_unpack(unpack->block, blocks->target, &error);

    if (is_written) {
        /* So that the last fsync has little left to do. What it says now does not matter. */
        disk_target_start_sync(blocks->target, place->raw_offset, place->raw_offset + place->raw_size);
        progress_add(blocks->progress, place->packed_size);
        blocks->is_there[unpack->number] = true;
    }
    disk_block_free(unpack->block);
    note_end(unpack, is_written, thread_cpu_us() - before, error);
    g_free(unpack);
    net_ranges_wake(blocks->ranges);
}

/* ---- the network ---- */

/* The first block is always xz, so that its time is known. The lock is held. */
static unsigned
choose_file(Blocks *blocks, guint number)
{
    bool is_auto = blocks->job->codec == CODEC_AUTO;

    if (blocks->twin == NULL || (is_auto && !blocks->is_xz_measured))
        return FILE_XZ;
    if (!is_auto)
        return FILE_TWIN;
    return codec_choose(&blocks->facts, packed_size(blocks, FILE_XZ, number),
                        packed_size(blocks, FILE_TWIN, number)) == DISK_XZ
               ? FILE_XZ
               : FILE_TWIN;
}

static uint64_t
window(const Blocks *blocks)
{
    bool is_open =
        blocks->twin != NULL && blocks->job->codec == CODEC_AUTO && !codec_is_known(&blocks->facts);

    return is_open ? UNKNOWN_BYTES : WINDOW_BYTES;
}

/* Whether to go on. */
static bool
want_more(Blocks *blocks)
{
    bool must_go_on;

    pthread_mutex_lock(&blocks->lock);
    blocks->facts.wire_rate = net_ranges_rate(blocks->ranges);
    for (; blocks->next < blocks->n_order; blocks->next++) {
        guint number = blocks->order[blocks->next];
        unsigned file = choose_file(blocks, number);
        uint32_t size = packed_size(blocks, file, number);

        if (blocks->is_there[number])
            continue; /* on a second try */
        if (blocks->held > 0 && blocks->held + size > window(blocks))
            break;
        blocks->held += size;
        blocks->is_xz_measured = true;
        net_ranges_want(
            blocks->ranges, file, number,
            g_array_index(manifest_of(blocks, file)->blocks, DiskManifestBlock, number).packed_offset, size);
    }
    must_go_on = blocks->left > 0 && blocks->error == NULL;
    pthread_mutex_unlock(&blocks->lock);
    return must_go_on;
}

static void
pass_on(Blocks *blocks, PoolQueue *decoders, NetPiece *piece)
{
    DiskBlock *block = disk_block_verify(manifest_of(blocks, piece->file), piece->number, piece->data);
    Unpack *job;

    piece->data = NULL; /* verify took it */
    if (block == NULL) {
        net_ranges_reject(blocks->ranges, piece);
        return;
    }
    job = g_new0(Unpack, 1);
    *job = (Unpack){blocks, block, piece->file, piece->number};
    if (blocks->job->cost != NULL)
        *(piece->file == FILE_TWIN ? &blocks->job->cost->zstd : &blocks->job->cost->xz) += piece->size;
    pool_queue_push(decoders, unpack, job);
}

static bool
run(Blocks *blocks, PoolQueue *decoders, GError **error)
{
    while (want_more(blocks)) {
        NetPiece piece;

        if (!net_ranges_wait(blocks->ranges, &piece, error))
            return false;
        if (piece.data != NULL)
            pass_on(blocks, decoders, &piece);
    }
    return true;
}

static unsigned
count_decoders(const Blocks *blocks)
{
    uint32_t largest = DISK_UNPACK_BYTES;

    for (guint i = 0; i < blocks->manifest->blocks->len; i++)
        largest = MAX(largest, place_of(blocks, i)->raw_size);
    return CLAMP(DECODERS_BYTES / (largest + DISK_UNPACK_BYTES), 1,
                 MIN(pool_default_threads(), MAX(blocks->left, 1)));
}

/* A twin that nobody can send is done without. */
static bool
run_all(Blocks *blocks, PoolQueue *decoders, const NetLimits *limits, GError **error)
{
    g_auto(GStrv) urls = job_urls(blocks->job, blocks->job->entry->file);
    g_auto(GStrv) twin_urls = blocks->twin != NULL ? job_urls(blocks->job, blocks->twin_file) : NULL;

    blocks->ranges = net_ranges_new((const char *const *)urls, blocks->manifest->packed_size,
                                    NET_RANGES_CONNECTIONS, limits, blocks->job->warnings);
    if (blocks->twin != NULL)
        net_ranges_add(blocks->ranges, (const char *const *)twin_urls, blocks->twin->packed_size);
    return run(blocks, decoders, error);
}

/* What decided, as far as it was measured. */
static void
explain(const Blocks *blocks)
{
    uint64_t xz_rate = codec_xz_rate(&blocks->facts);
    g_autofree char *wire = cli_format_size(blocks->facts.wire_rate), *xz = cli_format_size(xz_rate);

    if (blocks->twin == NULL || blocks->job->codec != CODEC_AUTO || blocks->job->cost == NULL)
        return;
    g_free(blocks->job->cost->why);
    blocks->job->cost->why =
        codec_is_known(&blocks->facts)
            ? g_strdup_printf("%s/s come, and %u cores unpack %s/s of xz", wire, blocks->facts.cores, xz)
            : g_strdup("it was over before it could be measured");
}

/* The decoders end before the connections go: they wake them. */
static bool
try_all(Blocks *blocks, const NetLimits *limits, GError **error)
{
    PoolQueue *decoders = pool_queue_new(count_decoders(blocks), error);
    bool is_ok;

    if (decoders == NULL)
        return false;
    is_ok = run_all(blocks, decoders, limits, error);
    pool_queue_free(decoders); /* what has come is written, whatever happened */
    explain(blocks);
    return is_ok;
}

/* @error must not be NULL. */
static bool
drop_twin(Blocks *blocks, GError **error)
{
    if (blocks->twin == NULL || blocks->ranges == NULL || !net_ranges_is_lost(blocks->ranges, FILE_TWIN) ||
        g_error_matches(*error, BASE_ERROR, BASE_ERROR_INTERRUPTED))
        return false;
    g_ptr_array_add(blocks->job->warnings,
                    g_strdup_printf("%s; the image is fetched as xz", (*error)->message));
    g_clear_error(error);
    g_clear_pointer(&blocks->twin, disk_manifest_free);
    g_clear_pointer(&blocks->ranges, net_ranges_free);
    blocks->next = 0;
    blocks->held = 0;
    return true;
}

/* @error must not be NULL. */
static JobResult
fetch_missing(Blocks *blocks, GError **error)
{
    g_auto(NetAccess) access = {0};
    NetLimits limits;
    bool is_ok;

    if ((!blocks->target->is_device && !job_check_space(blocks->job, blocks->missing_data, error)) ||
        !access_init(blocks->job->catalogue->source, &access, &limits, error))
        return JOB_FAILED;
    if (blocks->job->codec != CODEC_XZ)
        blocks->twin = manifest_fetch_twin(blocks->job, blocks->manifest, &blocks->twin_file);
    put_in_order(blocks);
    is_ok = try_all(blocks, &limits, error);
    if (!is_ok && drop_twin(blocks, error))
        is_ok = try_all(blocks, &limits, error);
    if (!is_ok && blocks->ranges != NULL && net_ranges_is_whole_only(blocks->ranges)) {
        g_clear_error(error);
        return JOB_NOT_SO;
    }
    if (is_ok && blocks->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&blocks->error));
        is_ok = false;
    }
    return is_ok ? JOB_DONE : JOB_FAILED;
}

JobResult
blocks_fetch(const Job *job, const DiskManifest *manifest, const DiskTarget *target, GError **error)
{
    g_auto(Blocks) blocks = {.job = job,
                             .manifest = manifest,
                             .target = target,
                             .is_there = g_new0(bool, manifest->blocks->len),
                             .facts = {.cores = pool_default_threads()},
                             .lock = PTHREAD_MUTEX_INITIALIZER};

    if (!stock_take(manifest, target, job->entry->name, blocks.is_there, error))
        return JOB_FAILED;
    count_missing(&blocks);
    return blocks.left == 0 ? JOB_DONE : fetch_missing(&blocks, error);
}

JobResult
blocks_fetch_only(const Job *job, const DiskManifest *manifest, const bool *is_good, const DiskTarget *target,
                  GError **error)
{
    g_auto(Blocks) blocks = {.job = job,
                             .manifest = manifest,
                             .target = target,
                             .is_there = g_memdup2(is_good, manifest->blocks->len * sizeof *is_good),
                             .facts = {.cores = pool_default_threads()},
                             .lock = PTHREAD_MUTEX_INITIALIZER};
    bool was_empty;

    if (!disk_target_prepare(target, manifest->raw_size, &was_empty, error))
        return JOB_FAILED;
    count_missing(&blocks);
    return blocks.left == 0 ? JOB_DONE : fetch_missing(&blocks, error);
}
