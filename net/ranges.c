// SPDX-License-Identifier: Apache-2.0
/*
 * Which piece is asked from whom: the queue of what is wanted, the connections, and the mirrors with what they did wrong.
 * Back-pressure is that nothing is asked for that nobody wants yet; a transfer is never paused.
 */
#include "net/ranges.h"

#include "base/fd.h"
#include "base/interrupt.h"

#include <fcntl.h>
#include <stdatomic.h>

#define MAX_BAD 2u /* wrong pieces or senseless answers of one mirror: once may be an accident */
#define MAX_WAIT_MS 500
#define NO_MIRROR G_MAXUINT
#define RATE_MIN_BYTES (8u << 20) /* before that connections are still becoming fast */
#define RATE_US 2000000           /* what is longer ago than some of these counts less and less */

struct NetRanges {
    const NetLimits *limits;
    GPtrArray *warnings;
    RangeMirror *mirrors;
    unsigned n_mirrors, n_files;
    CURLM *multi;
    RangeRequest *requests;
    unsigned n_requests;
    GQueue wanted;   /* (element-type RangePiece) */
    GQueue complete; /* (element-type RangePiece) */
    atomic_bool is_woken;
    uint64_t received, rate; /* bytes within @busy_us; bytes per second */
    gint64 busy_us, measured_us;
    bool is_busy;
};

static unsigned
add_file(NetRanges *ranges, const char *const *urls, uint64_t size)
{
    unsigned first = ranges->n_mirrors, n = g_strv_length((char **)urls);

    ranges->n_mirrors += n;
    ranges->mirrors = g_renew(RangeMirror, ranges->mirrors, MAX(ranges->n_mirrors, 1));
    for (unsigned i = 0; i < n; i++)
        ranges->mirrors[first + i] = (RangeMirror){.file = ranges->n_files,
                                                   .size = size,
                                                   .url = g_strdup(urls[i]),
                                                   .path = net_local_path(urls[i]),
                                                   .fd = -1};
    return ranges->n_files++;
}

NetRanges *
net_ranges_new(const char *const *urls, uint64_t size, unsigned connections, const NetLimits *limits,
               GPtrArray *warnings)
{
    NetRanges *ranges = g_new0(NetRanges, 1);

    ranges->limits = limits;
    ranges->warnings = warnings;
    add_file(ranges, urls, size);
    ranges->n_requests = CLAMP(connections, 1, NET_RANGES_MAX_CONNECTIONS);
    ranges->requests = g_new0(RangeRequest, ranges->n_requests);
    g_queue_init(&ranges->wanted);
    g_queue_init(&ranges->complete);
    net_curl_init();
    ranges->multi = curl_multi_init();
    g_assert(ranges->multi != NULL); /* fails for want of memory only */
    for (unsigned i = 0; i < ranges->n_requests; i++)
        range_request_init(&ranges->requests[i], ranges->multi, limits, &ranges->complete);
    return ranges;
}

static void
free_pieces(GQueue *pieces)
{
    RangePiece *piece;

    while ((piece = g_queue_pop_head(pieces)) != NULL)
        range_piece_free(piece);
}

void
net_ranges_free(NetRanges *ranges)
{
    if (ranges == NULL)
        return;
    for (unsigned i = 0; i < ranges->n_requests; i++) {
        free_pieces(&ranges->requests[i].pieces);
        range_request_clear(&ranges->requests[i]);
    }
    curl_multi_cleanup(ranges->multi);
    for (unsigned i = 0; i < ranges->n_mirrors; i++) {
        RangeMirror *mirror = &ranges->mirrors[i];

        g_free(mirror->url);
        g_free(mirror->path);
        g_free(mirror->etag);
        g_clear_error(&mirror->problem);
        fd_close(mirror->fd);
    }
    free_pieces(&ranges->wanted);
    free_pieces(&ranges->complete);
    g_free(ranges->requests);
    g_free(ranges->mirrors);
    g_free(ranges);
}

unsigned
net_ranges_add(NetRanges *ranges, const char *const *urls, uint64_t size)
{
    return add_file(ranges, urls, size);
}

void
net_ranges_want(NetRanges *ranges, unsigned file, unsigned number, uint64_t offset, uint32_t size)
{
    RangePiece *piece = g_new0(RangePiece, 1);

    g_assert(file < ranges->n_files && size > 0);
    piece->piece =
        (NetPiece){.file = file, .offset = offset, .size = size, .number = number, .mirror = NO_MIRROR};
    piece->avoid = -1;
    g_queue_push_tail(&ranges->wanted, piece);
}

void
net_ranges_wake(NetRanges *ranges)
{
    atomic_store(&ranges->is_woken, true);
    curl_multi_wakeup(ranges->multi);
}

bool
net_ranges_is_whole_only(const NetRanges *ranges)
{
    bool has_such = false;

    for (unsigned i = 0; i < ranges->n_mirrors && ranges->mirrors[i].file == 0; i++) {
        if (!ranges->mirrors[i].is_out)
            return false;
        has_such = has_such || ranges->mirrors[i].is_whole_only;
    }
    return has_such;
}

bool
net_ranges_is_lost(const NetRanges *ranges, unsigned file)
{
    for (unsigned i = 0; i < ranges->n_mirrors; i++)
        if (ranges->mirrors[i].file == file && !ranges->mirrors[i].is_out)
            return false;
    return true;
}

uint64_t
net_ranges_rate(const NetRanges *ranges)
{
    return ranges->rate;
}

/* ---- mirrors ---- */

static void
warn(NetRanges *ranges, char *text)
{
    if (ranges->warnings != NULL)
        g_ptr_array_add(ranges->warnings, text);
    else
        g_free(text);
}

static void
put_out(NetRanges *ranges, RangeMirror *mirror)
{
    if (mirror->is_out)
        return;
    mirror->is_out = true;
    if (ranges->n_mirrors > 1)
        warn(ranges,
             g_strdup_printf("%s; this server is not asked again for this image", mirror->problem->message));
}

/* @problem is taken. */
static void
blame(NetRanges *ranges, RangeMirror *mirror, RangeVerdict verdict, GError *problem)
{
    g_clear_error(&mirror->problem);
    mirror->problem = problem;
    mirror->is_whole_only = mirror->is_whole_only || verdict == RANGE_WHOLE_ONLY;
    if (verdict == RANGE_REFUSED || verdict == RANGE_WHOLE_ONLY || ++mirror->bad >= MAX_BAD)
        put_out(ranges, mirror);
}

/* Connections that break together are one failure: those that had been made before the last one that counted do not count. */
static void
note_failure(NetRanges *ranges, const RangeRequest *request, RangeMirror *mirror, GError *problem)
{
    gint64 now = g_get_monotonic_time();

    g_clear_error(&mirror->problem);
    mirror->problem = problem;
    if (request->started_us >= mirror->failed_us) {
        mirror->lapses++;
        mirror->failures++;
        mirror->failed_us = now;
    }
    if (request->has_progress)
        mirror->failures = 0;
    mirror->resume_us =
        now + 1000 * (gint64)net_curl_pause_ms(request->curl, ranges->limits, mirror->failures);
    if (mirror->failures > ranges->limits->max_failures)
        put_out(ranges, mirror);
}

/* Of those that may be asked now the one that failed least, then the first; if possible not the one that sent @piece wrong.
 * NO_MIRROR: none at the moment. */
static unsigned
choose_mirror(const NetRanges *ranges, const RangePiece *piece, gint64 now)
{
    unsigned best = NO_MIRROR;
    bool has_other = false;

    for (unsigned i = 0; i < ranges->n_mirrors; i++)
        has_other = has_other || (ranges->mirrors[i].file == piece->piece.file &&
                                  !ranges->mirrors[i].is_out && (int)i != piece->avoid);
    for (unsigned i = 0; i < ranges->n_mirrors; i++) {
        const RangeMirror *mirror = &ranges->mirrors[i];

        if (mirror->file != piece->piece.file || mirror->is_out || mirror->resume_us > now ||
            ((int)i == piece->avoid && has_other))
            continue;
        if (best == NO_MIRROR || mirror->lapses < ranges->mirrors[best].lapses)
            best = i;
    }
    return best;
}

/* ---- pieces ---- */

static bool
open_local(RangeMirror *mirror, GError **error)
{
    uint64_t size;

    if (mirror->fd >= 0)
        return true;
    mirror->fd = open(mirror->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (mirror->fd < 0)
        return error_set_errno(error, "%s", mirror->path);
    if (!fd_size(mirror->fd, mirror->path, &size, error))
        return false;
    return size == mirror->size ||
           error_set_code(error, BASE_ERROR_UNTRUSTED,
                          "%s: has %" G_GUINT64_FORMAT " bytes, the index states %" G_GUINT64_FORMAT,
                          mirror->path, size, mirror->size);
}

/* From a file of this host: no request, and nothing to wait for. */
static void
read_local(NetRanges *ranges, unsigned number)
{
    RangeMirror *mirror = &ranges->mirrors[number];
    RangePiece *piece = g_queue_pop_head(&ranges->wanted);
    g_autoptr(GError) problem = NULL;

    if (piece->piece.data == NULL)
        piece->piece.data = g_malloc(piece->piece.size);
    if (open_local(mirror, &problem) && fd_pread_exact(mirror->fd, piece->piece.data, piece->piece.size,
                                                       piece->piece.offset, mirror->path, &problem)) {
        piece->piece.mirror = number;
        g_queue_push_tail(&ranges->complete, piece);
        return;
    }
    piece->have = 0;
    g_queue_push_head(&ranges->wanted, piece);
    blame(ranges, mirror, RANGE_REFUSED, g_steal_pointer(&problem));
}

/* As many pieces as one request is to have: without gaps, and none that is begun but the first. */
static void
gather(NetRanges *ranges, RangeRequest *request)
{
    const RangePiece *first = g_queue_peek_head(&ranges->wanted);
    const RangePiece *next = first;
    uint64_t end = first->piece.offset;

    do {
        end += next->piece.size;
        g_queue_push_tail(&request->pieces, g_queue_pop_head(&ranges->wanted));
        next = g_queue_peek_head(&ranges->wanted);
    } while (next != NULL && next->piece.file == first->piece.file && next->piece.offset == end &&
             next->have == 0 && next->avoid == first->avoid &&
             end + next->piece.size - first->piece.offset <= NET_RANGES_REQUEST_BYTES);
}

/* Returns: how long to wait at most, in ms, for a mirror that is left alone for a while */
static int
start_requests(NetRanges *ranges)
{
    gint64 now = g_get_monotonic_time();

    for (unsigned i = 0; i < ranges->n_requests; i++) {
        RangeRequest *request = &ranges->requests[i];
        unsigned number;

        if (request->mirror != NULL || g_queue_is_empty(&ranges->wanted))
            continue;
        number = choose_mirror(ranges, g_queue_peek_head(&ranges->wanted), now);
        if (number == NO_MIRROR)
            break;
        if (ranges->mirrors[number].path != NULL) {
            read_local(ranges, number);
            return 0;
        }
        gather(ranges, request);
        range_request_start(request, &ranges->mirrors[number], number);
    }
    if (!g_queue_is_empty(&ranges->wanted))
        for (unsigned i = 0; i < ranges->n_mirrors; i++)
            if (!ranges->mirrors[i].is_out && ranges->mirrors[i].resume_us > now)
                return (int)MIN((ranges->mirrors[i].resume_us - now) / 1000 + 1, MAX_WAIT_MS);
    return MAX_WAIT_MS;
}

static gint
compare_offsets(gconstpointer a, gconstpointer b, gpointer context G_GNUC_UNUSED)
{
    const RangePiece *first = a, *second = b;

    return first->piece.offset < second->piece.offset ? -1 : first->piece.offset > second->piece.offset;
}

/* Before what is later in the file, so that it shares requests with its neighbours again. */
static void
put_back(NetRanges *ranges, RangePiece *piece)
{
    g_queue_insert_sorted(&ranges->wanted, piece, compare_offsets, NULL);
}

/* The connection is idle then, and what did not come is wanted again. */
static void
release(NetRanges *ranges, RangeRequest *request)
{
    RangePiece *piece;

    curl_multi_remove_handle(ranges->multi, request->curl);
    request->mirror = NULL;
    while ((piece = g_queue_pop_tail(&request->pieces)) != NULL)
        put_back(ranges, piece);
}

static void
end_request(NetRanges *ranges, RangeRequest *request, CURLcode code)
{
    RangeMirror *mirror = request->mirror;
    RangePiece *piece = g_queue_peek_head(&request->pieces);

    if (range_request_finish(request, code)) {
        mirror->failures = 0;
    } else if (request->verdict == RANGE_FAILED) {
        note_failure(ranges, request, mirror, g_steal_pointer(&request->problem));
    } else if (request->verdict == RANGE_OUTDATED) {
        g_clear_error(&request->problem);
    } else {
        if (piece != NULL) /* what such an answer brought of a piece counts for nothing */
            piece->have = 0;
        blame(ranges, mirror, request->verdict, g_steal_pointer(&request->problem));
    }
    release(ranges, request);
}

static void
run_requests(NetRanges *ranges)
{
    CURLMsg *message;
    int n;

    curl_multi_perform(ranges->multi, &n);
    while ((message = curl_multi_info_read(ranges->multi, &n)) != NULL) {
        char *request = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        end_request(ranges, (RangeRequest *)(void *)request, message->data.result);
    }
    for (unsigned i = 0; i < ranges->n_requests; i++)
        if (ranges->requests[i].mirror != NULL && ranges->requests[i].mirror->is_out)
            release(ranges, &ranges->requests[i]);
}

static bool
check_mirrors(const NetRanges *ranges, unsigned file, GError **error)
{
    unsigned first = 0;

    if (!net_ranges_is_lost(ranges, file))
        return true;
    while (ranges->mirrors[first].file != file)
        first++;
    g_propagate_error(error, g_error_copy(ranges->mirrors[first].problem));
    return false;
}

/* Counted is the time in which a request is under way, from the first bytes on. */
static void
measure(NetRanges *ranges)
{
    gint64 now = g_get_monotonic_time();
    bool is_busy = false;

    if (ranges->is_busy)
        ranges->busy_us += now - ranges->measured_us;
    ranges->measured_us = now;
    for (unsigned i = 0; i < ranges->n_requests; i++) {
        ranges->received += ranges->requests[i].received;
        ranges->requests[i].received = 0;
        is_busy = is_busy || ranges->requests[i].mirror != NULL;
    }
    ranges->is_busy = is_busy && ranges->received > 0;
    if (ranges->received >= RATE_MIN_BYTES || ranges->rate > 0)
        ranges->rate = ranges->received * 1000000 / (uint64_t)MAX(ranges->busy_us, 1) + 1;
    if (ranges->busy_us > 2 * RATE_US) {
        ranges->busy_us /= 2;
        ranges->received /= 2;
    }
}

bool
net_ranges_wait(NetRanges *ranges, NetPiece *out_piece, GError **error)
{
    for (;;) {
        RangePiece *piece;
        int wait_ms;

        if (!interrupt_check(error))
            return false;
        piece = g_queue_pop_head(&ranges->complete);
        if (piece != NULL) {
            *out_piece = piece->piece;
            piece->piece.data = NULL;
            range_piece_free(piece);
            return true;
        }
        if (atomic_exchange(&ranges->is_woken, false)) {
            *out_piece = (NetPiece){0};
            return true;
        }
        if (!g_queue_is_empty(&ranges->wanted) &&
            !check_mirrors(ranges, ((RangePiece *)g_queue_peek_head(&ranges->wanted))->piece.file, error))
            return false;
        wait_ms = start_requests(ranges);
        run_requests(ranges);
        if (wait_ms > 0 && g_queue_is_empty(&ranges->complete))
            curl_multi_poll(ranges->multi, NULL, 0, wait_ms, NULL);
        measure(ranges);
    }
}

void
net_ranges_reject(NetRanges *ranges, NetPiece *piece)
{
    RangeMirror *mirror = &ranges->mirrors[piece->mirror];
    RangePiece *again = g_new0(RangePiece, 1);

    g_clear_pointer(&piece->data, g_free);
    again->piece = *piece;
    again->piece.mirror = NO_MIRROR;
    again->avoid = (int)piece->mirror;
    again->best = piece->size; /* fetching it again is no progress */
    put_back(ranges, again);
    if (!mirror->is_out)
        warn(ranges, g_strdup_printf("%s: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT
                                     " are wrong and are fetched again",
                                     mirror->url, piece->offset, piece->offset + piece->size - 1));
    blame(ranges, mirror, RANGE_BAD,
          g_error_new(BASE_ERROR, BASE_ERROR_UNTRUSTED,
                      "%s: the server's bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT
                      " do not have the digest that the manifest states, so they were altered or damaged",
                      mirror->url, piece->offset, piece->offset + piece->size - 1));
}
