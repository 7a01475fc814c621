// SPDX-License-Identifier: Apache-2.0
/*
 * A large file by ranges over several connections. Pieces come in any order and are kept in memory until the ones before them
 * are there; the file on the disk only grows at its end. So its size says where the next pull goes on, whatever killed this one,
 * there is no journal, each byte goes through the digest once on its way, and the process that unpacks can read it like any file
 * that is being written. What a killed pull had beyond a gap is lost: at most the window.
 *
 * The end of the file, where the .xz index lies, is asked for first and kept in memory, too. The unpacking process sees the very
 * bytes that are then written and digested, so a server cannot show it another end.
 */
#include "fetch/whole.h"

#include "base/fd.h"
#include "base/interrupt.h"
#include "fetch/access.h"
#include "net/net.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 20)
/* What is asked for and not yet in order: four requests under way, and as much again that is faster than the first of them. */
#define WINDOW 32u              /* pieces */
#define TAIL_BYTES (256u << 10) /* the index of 25,000 blocks; of more it is there when the whole file is */
#define TAIL_NUMBER G_MAXUINT
#define WRITEBACK_BYTES (64u << 20)

typedef struct {
    const Whole *whole;
    uint64_t size, start, tail_at; /* what was there before; where the end begins that is kept apart */
    uint64_t have;                 /* in order, written and digested */
    uint64_t written_back;
    guint n_pieces, next,
        wanted;               /* between @start and @tail_at; the next one in order; the next one to want */
    uint8_t *waiting[WINDOW]; /* piece N at N % WINDOW */
    GBytes *tail;
    NetRanges *ranges;
    Digest *digest;
    Unpack *unpack; /* NULL: not yet, or not before the digest */
    Progress *progress;
} Stream;

static void
stream_clear(Stream *stream)
{
    unpack_free(stream->unpack);
    net_ranges_free(stream->ranges);
    for (unsigned i = 0; i < WINDOW; i++)
        g_free(stream->waiting[i]);
    g_clear_pointer(&stream->tail, g_bytes_unref);
    digest_free(stream->digest);
    progress_free(stream->progress);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stream, stream_clear)

static uint32_t
piece_size(const Stream *stream, guint number)
{
    return (uint32_t)MIN(PIECE_BYTES, stream->tail_at - stream->start - (uint64_t)number * PIECE_BYTES);
}

/* ---- what was there before ---- */

static bool
digest_start(Stream *stream, GError **error)
{
    const Whole *whole = stream->whole;
    g_autofree char *label = g_strdup_printf("check %s", whole->job->entry->name);
    g_autoptr(Progress) progress = progress_new(label, stream->start);
    g_autofree uint8_t *buffer = g_malloc(PIECE_BYTES);

    for (uint64_t at = 0; at < stream->start;) {
        size_t n = MIN(stream->start - at, PIECE_BYTES);

        if (!interrupt_check(error) || !fd_pread_exact(whole->fd, buffer, n, at, whole->path, error))
            return false;
        digest_update(stream->digest, buffer, n);
        at += n;
        progress_set(progress, at);
    }
    return true;
}

static bool
begin(Stream *stream, GError **error)
{
    const Whole *whole = stream->whole;
    uint64_t there;

    stream->size = whole->job->entry->compressed_size;
    stream->digest = digest_new(whole->job->key.kind);
    if (!fd_size(whole->fd, whole->path, &there, error))
        return false;
    if (there > stream->size) {
        if (ftruncate(whole->fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", whole->path);
        there = 0;
    }
    stream->start = stream->have = there;
    stream->tail_at = MAX(there, stream->size - TAIL_BYTES);
    stream->n_pieces = (guint)((stream->tail_at - there + PIECE_BYTES - 1) / PIECE_BYTES);
    /* Only what is certain to be needed: what is decoded is no smaller than what was packed. */
    return job_check_space(whole->job, stream->size - there + stream->size, error) &&
           digest_start(stream, error);
}

/* ---- the unpacking process ---- */

static bool
start_unpacking(Stream *stream, GError **error)
{
    bool is_early = stream->tail != NULL || stream->tail_at == stream->size;

    if (stream->whole->job->is_strict || stream->unpack != NULL || !is_early ||
        !disk_is_xz(stream->whole->fd))
        return true;
    stream->unpack = whole_unpack_start(stream->whole, stream->size, stream->tail, error);
    return stream->unpack != NULL;
}

static void
show(Stream *stream)
{
    progress_set(stream->progress, stream->unpack != NULL ? unpack_used(stream->unpack) : stream->have);
}

/* ---- pieces ---- */

static bool
append(Stream *stream, const void *data, size_t size, GError **error)
{
    const Whole *whole = stream->whole;

    if (!fd_pwrite_all(whole->fd, data, size, stream->have, whole->path, error))
        return false;
    digest_update(stream->digest, data, size);
    stream->have += size;
    return true;
}

/* So that the last fsync has little left to do. What it says now does not matter. */
static void
write_back(Stream *stream)
{
    if (stream->have - stream->written_back < WRITEBACK_BYTES)
        return;
    stream->written_back = stream->have;
    sync_file_range(stream->whole->out, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static bool
append_what_follows(Stream *stream, GError **error)
{
    for (; stream->next < stream->n_pieces && stream->waiting[stream->next % WINDOW] != NULL;
         stream->next++) {
        g_autofree uint8_t *data = g_steal_pointer(&stream->waiting[stream->next % WINDOW]);

        if (!append(stream, data, piece_size(stream, stream->next), error))
            return false;
    }
    if (stream->have == stream->tail_at && stream->tail != NULL) {
        gsize size;
        const void *data = g_bytes_get_data(stream->tail, &size);

        if (!append(stream, data, size, error))
            return false;
    }
    if (!start_unpacking(stream, error))
        return false;
    if (stream->unpack != NULL)
        unpack_wake(stream->unpack);
    write_back(stream);
    show(stream);
    return true;
}

static void
want_more(Stream *stream)
{
    for (; stream->wanted < MIN(stream->n_pieces, stream->next + WINDOW); stream->wanted++)
        net_ranges_want(stream->ranges, 0, stream->wanted,
                        stream->start + (uint64_t)stream->wanted * PIECE_BYTES,
                        piece_size(stream, stream->wanted));
}

static bool
run(Stream *stream, GError **error)
{
    if (stream->tail_at < stream->size)
        net_ranges_want(stream->ranges, 0, TAIL_NUMBER, stream->tail_at,
                        (uint32_t)(stream->size - stream->tail_at));
    while (stream->have < stream->size) {
        NetPiece piece;

        want_more(stream);
        if (!net_ranges_wait(stream->ranges, &piece, error))
            return false;
        if (piece.number == TAIL_NUMBER)
            stream->tail = g_bytes_new_take(piece.data, piece.size);
        else
            stream->waiting[piece.number % WINDOW] = piece.data;
        if (!append_what_follows(stream, error))
            return false;
    }
    return append_what_follows(stream, error); /* where all was there before */
}

static bool
is_right(Stream *stream)
{
    g_autofree char *digest = digest_finish(stream->digest);

    return strcmp(digest, stream->whole->job->key.digest) == 0;
}

/* ---- from one server first, or from another ---- */

static char **
urls_from(const Whole *whole, unsigned first)
{
    g_auto(GStrv) urls = job_urls(whole->job, whole->job->entry->file);
    unsigned n = g_strv_length(urls);
    char **turned = g_new0(char *, n + 1);

    for (unsigned i = 0; i < n; i++)
        turned[i] = g_strdup(urls[(first + i) % n]);
    return turned;
}

/* JOB_DONE: the file has come, and @out_is_right says whether it is the right one, and then there is the image, too. */
static JobResult
try(const Whole *whole, unsigned first, bool *out_is_right, GError **error)
{
    g_auto(Stream) stream = {.whole = whole};
    g_autofree char *label = g_strdup_printf("pull %s", whole->job->entry->name);
    g_auto(GStrv) urls = urls_from(whole, first);
    g_auto(NetAccess) access = {0};
    NetLimits limits;

    if (!begin(&stream, error) || !access_init(whole->job->catalogue->source, &access, &limits, error))
        return JOB_FAILED;
    stream.progress = progress_new(label, stream.size);
    stream.ranges = net_ranges_new((const char *const *)urls, stream.size, NET_RANGES_CONNECTIONS, &limits,
                                   whole->job->warnings);
    if (!run(&stream, error)) {
        if (!net_ranges_is_whole_only(stream.ranges))
            return JOB_FAILED;
        g_clear_error(error);
        return JOB_NOT_SO;
    }
    *out_is_right = is_right(&stream);
    if (!*out_is_right)
        return JOB_DONE;
    g_clear_pointer(&stream.progress, progress_free); /* another line follows */
    return whole_unpack(whole, g_steal_pointer(&stream.unpack), error) ? JOB_DONE : JOB_FAILED;
}

JobResult
stream_fetch(const Whole *whole, GError **error)
{
    unsigned n_attempts = MAX(2, 1 + g_strv_length(whole->job->catalogue->source->mirrors));

    for (unsigned attempt = 0; attempt < n_attempts; attempt++) {
        bool has_come_right = false;
        JobResult result = try(whole, attempt, &has_come_right, error);

        if (result == JOB_FAILED || has_come_right)
            return result;
        /* Whatever was written is of no use, and what was unpacked from it must not be there. */
        if (ftruncate(whole->out, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", whole->out_path) ? JOB_DONE : JOB_FAILED;
        if (result == JOB_NOT_SO)
            return result;
        if (ftruncate(whole->fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", whole->path) ? JOB_DONE : JOB_FAILED;
    }
    whole_wrong(whole, error);
    return JOB_FAILED;
}
