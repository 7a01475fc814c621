// SPDX-License-Identifier: Apache-2.0
/*
 * The confined process. Started anew from the program's own file, so that it has no memory, environment or open file of the one
 * that started it but what unpack.h lists. The main thread waits for word that the file has grown; the others decode, and the one
 * that ends last writes the report and ends the process.
 */
#include "base/digest.h"
#include "base/fd.h"
#include "base/pool.h"
#include "fetch/fetch.h"
#include "fetch/sandbox.h"
#include "fetch/unpack.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Beside each decoder's dictionary: its stack, the arena that malloc reserves for a thread, and its buffers. */
#define THREAD_BYTES ((uint64_t)DISK_XZ_MAX_MEMORY + (160u << 20))
#define COMMON_BYTES (768u << 20) /* the program, the index and the manifest at their limits */
/* The slowest decoding that counts: some 1 MB of output a second, and a minute for whatever is small. */
#define CPU_BYTES_PER_SECOND (1u << 20)
#define CPU_MIN_SECONDS 60u
#define USED_STEP (1u << 20)

typedef struct {
    const char *name;
    uint64_t size, tail_at, max_raw;
    unsigned n_threads;
    PoolQueue *threads;
    DiskXzUnpack *unpack;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t grown;
    uint64_t there;      /* bytes of the file */
    UnpackReport report; /* its @used */
    uint64_t used_said;
    unsigned n_busy;
} Child;

/* Any thread, once: whoever comes second waits for the end. */
G_NORETURN static void
finish(Child *child, uint32_t state, const void *data, size_t size)
{
    pthread_mutex_lock(&child->lock);
    child->report.state = state;
    child->report.size = (uint32_t)MIN(size, DISK_MANIFEST_MAX_BYTES);
    fd_pwrite_all(UNPACK_FD_REPORT, data, child->report.size, sizeof child->report, "report", NULL);
    fd_pwrite_all(UNPACK_FD_REPORT, &child->report, sizeof child->report, 0, "report", NULL);
    _exit(EXIT_SUCCESS);
}

G_NORETURN static void
fail(Child *child, const GError *error)
{
    finish(child, UNPACK_REPORT_ERROR, error->message, strlen(error->message));
}

/* ---- what the decoders read ---- */

static void
wait_for(Child *child, uint64_t end)
{
    pthread_mutex_lock(&child->lock);
    while (child->there < end)
        pthread_cond_wait(&child->grown, &child->lock);
    pthread_mutex_unlock(&child->lock);
}

static void
note_used(Child *child, size_t size)
{
    pthread_mutex_lock(&child->lock);
    child->report.used += size;
    if (child->report.used - child->used_said >= USED_STEP) {
        child->used_said = child->report.used;
        fd_pwrite_all(UNPACK_FD_REPORT, &child->report.used, sizeof child->report.used,
                      offsetof(UnpackReport, used), "report", NULL);
    }
    pthread_mutex_unlock(&child->lock);
}

static bool
read_part(void *context, void *data, size_t size, uint64_t offset, GError **error)
{
    Child *child = context;
    size_t before = offset < child->tail_at ? MIN(size, child->tail_at - offset) : 0;

    if (before > 0)
        wait_for(child, offset + before);
    if (!fd_pread_exact(UNPACK_FD_PART, data, before, offset, child->name, error) ||
        !fd_pread_exact(UNPACK_FD_TAIL, (uint8_t *)data + before, size - before,
                        offset + before - child->tail_at, child->name, error))
        return false;
    note_used(child, size);
    return true;
}

/* ---- the decoders ---- */

G_NORETURN static void
report(Child *child)
{
    g_autoptr(DiskManifest) manifest = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;

    if (!disk_xz_unpack_manifest(child->unpack, &manifest, &error))
        fail(child, error);
    if (manifest != NULL)
        bytes = disk_manifest_print(manifest, NULL); /* too large is as good as none */
    finish(child, UNPACK_REPORT_DONE, bytes != NULL ? g_bytes_get_data(bytes, NULL) : NULL,
           bytes != NULL ? g_bytes_get_size(bytes) : 0);
}

static void
decode(void *data)
{
    Child *child = data;
    GError *error = NULL;
    bool is_end = false, is_last;

    while (!is_end)
        if (!disk_xz_unpack_next(child->unpack, &is_end, &error))
            fail(child, error);
    pthread_mutex_lock(&child->lock);
    is_last = --child->n_busy == 0;
    pthread_mutex_unlock(&child->lock);
    if (is_last)
        report(child);
}

static void
start(void *data)
{
    Child *child = data;
    const DiskXzInput input = {.size = child->size, .read = read_part, .context = child};
    GError *error = NULL;

    child->unpack = disk_xz_unpack_new(&input, UNPACK_FD_OUT, child->name, child->max_raw, true, &error);
    if (child->unpack == NULL)
        fail(child, error);
    child->n_busy = child->n_threads;
    for (unsigned i = 0; i < child->n_threads; i++)
        pool_queue_push(child->threads, decode, child);
}

/* ---- the main thread ---- */

static bool
confine(Child *child, GError **error)
{
    const SandboxLimits limits = {
        .memory_bytes = COMMON_BYTES + child->n_threads * THREAD_BYTES,
        .cpu_seconds = CPU_MIN_SECONDS + child->max_raw / CPU_BYTES_PER_SECOND,
        .file_bytes = MAX(child->max_raw, UNPACK_REPORT_MAX),
        .n_files = UNPACK_N_FDS,
    };
    uint8_t nothing[DIGEST_SHA256_BYTES];

    digest_sha256("", 0, nothing); /* libcrypto reads its configuration when it is first used */
    if (!sandbox_prepare(&limits, error))
        return false;
    child->threads = pool_queue_new(child->n_threads, error);
    return child->threads != NULL && sandbox_enter(error);
}

G_NORETURN static void
run(Child *child)
{
    char bytes[4096];
    ssize_t n;

    do {
        off_t end = lseek(UNPACK_FD_PART, 0, SEEK_END);

        pthread_mutex_lock(&child->lock);
        child->there = end > 0 ? (uint64_t)end : 0;
        pthread_cond_broadcast(&child->grown);
        pthread_mutex_unlock(&child->lock);
        n = read(UNPACK_FD_WAKE, bytes, sizeof bytes);
    } while (n > 0);
    _exit(EXIT_FAILURE); /* nobody waits for the report any more */
}

static bool
read_number(const char *text, uint64_t *out_number)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
        return false;
    *out_number = number;
    return true;
}

int
fetch_unpack_main(int argc, char **argv)
{
    static Child child = {.lock = PTHREAD_MUTEX_INITIALIZER, .grown = PTHREAD_COND_INITIALIZER};
    g_autoptr(GError) error = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* and if that came too late, the socket has ended */
    signal(SIGPIPE, SIG_DFL);
    child.n_threads = pool_default_threads();
    if (argc != 4 || !read_number(argv[1], &child.size) || !read_number(argv[2], &child.tail_at) ||
        !read_number(argv[3], &child.max_raw) || child.tail_at > child.size)
        return EXIT_FAILURE;
    child.name = argv[0];
    if (!confine(&child, &error))
        fail(&child, error);
    pool_queue_push(child.threads, start, &child);
    run(&child);
}
