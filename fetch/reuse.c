// SPDX-License-Identifier: Apache-2.0
/*
 * What this host has already of an image that it is about to fetch: blocks that are equal in any other cached image, or
 * deltas from an earlier revision, one or a chain; whichever leaves the fewest bytes to fetch. Nothing here has to be right: whatever is put
 * into the file is compared with the manifest afterwards, and what is wrong is fetched.
 */
#include "fetch/reuse.h"

#include "base/cli.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "fetch/access.h"
#include "fetch/local_manifest.h"
#include "fetch/ways.h"
#include "net/net.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_DONORS 64u             /* images that are looked into */
#define APPLY_THREADS 2u           /* each holds a piece, packed and raw; the disk is slower than two */
#define MANIFEST_SUFFIX "manifest" /* and "local-manifest" */

/* ---- equal blocks ---- */

typedef struct {
    char *path; /* of a cached image */
    uint64_t from;
    guint number; /* of the block that is like it */
} Equal;

static void
equal_free(void *data)
{
    Equal *equal = data;

    g_free(equal->path);
    g_free(equal);
}

/* wanted: raw digest -> number of the block; of equal blocks one counts. */
static GHashTable *
wanted_blocks(const DiskManifest *manifest)
{
    GHashTable *wanted =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);

    for (guint i = 0; i < manifest->blocks->len; i++) {
        const DiskManifestBlock *block = &g_array_index(manifest->blocks, DiskManifestBlock, i);

        if (!disk_block_is_hole(manifest, i))
            g_hash_table_insert(wanted, g_bytes_new(block->raw_sha256, DISK_SHA256_BYTES),
                                GUINT_TO_POINTER(i + 1));
    }
    return wanted;
}

static DiskManifest *
read_manifest(const CacheKey *key)
{
    g_autofree char *path = cache_manifest_path(key);
    g_autoptr(GBytes) bytes = file_read(path, DISK_MANIFEST_MAX_BYTES, NULL);

    if (bytes == NULL)
        return local_manifest_read(key);
    return disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
}

static void
take_donor(const DiskManifest *own, GHashTable *wanted, const CacheKey *key, const char *image_path,
           GPtrArray *equals)
{
    g_autoptr(DiskManifest) manifest = read_manifest(key);

    for (guint i = 0; manifest != NULL && i < manifest->blocks->len; i++) {
        const DiskManifestBlock *block = &g_array_index(manifest->blocks, DiskManifestBlock, i);
        g_autoptr(GBytes) digest = g_bytes_new(block->raw_sha256, DISK_SHA256_BYTES);
        guint number = GPOINTER_TO_UINT(g_hash_table_lookup(wanted, digest));
        Equal *equal;

        if (number == 0 ||
            g_array_index(own->blocks, DiskManifestBlock, number - 1).raw_size != block->raw_size)
            continue;
        g_hash_table_remove(wanted, digest);
        equal = g_new0(Equal, 1);
        *equal = (Equal){g_strdup(image_path), block->raw_offset, number - 1};
        g_ptr_array_add(equals, equal);
    }
}

/* find_equal: (element-type Equal), and the bytes that would still have to be fetched. */
static GPtrArray *
find_equal(const Job *job, const DiskManifest *manifest, uint64_t *out_left)
{
    GPtrArray *equals = g_ptr_array_new_with_free_func(equal_free);
    g_autoptr(GHashTable) wanted = wanted_blocks(manifest);
    g_autofree char *folder = cache_images_folder();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    unsigned donors = 0;

    *out_left = 0;
    for (guint i = 0; i < manifest->blocks->len; i++)
        if (!disk_block_is_hole(manifest, i))
            *out_left += g_array_index(manifest->blocks, DiskManifestBlock, i).packed_size;
    for (const char *leaf; dir != NULL && donors < MAX_DONORS && (leaf = g_dir_read_name(dir)) != NULL;) {
        const char *dot = strchr(leaf, '.'); /* no id has one */
        g_autofree char *image = NULL;
        g_auto(CacheKey) key = {0};
        DiskFormat format;

        if (!g_str_has_suffix(leaf, MANIFEST_SUFFIX) || dot == NULL || g_str_has_prefix(leaf, job->key.id))
            continue;
        key.id = g_strndup(leaf, (gsize)(dot - leaf));
        image = cache_find(&key, &format);
        if (image == NULL)
            continue;
        donors++;
        take_donor(manifest, wanted, &key, image, equals);
    }
    for (guint i = 0; i < equals->len; i++)
        *out_left -= g_array_index(manifest->blocks, DiskManifestBlock,
                                   ((Equal *)g_ptr_array_index(equals, i))->number)
                         .packed_size;
    return equals;
}

static bool
copy_block(const DiskManifest *manifest, const Equal *equal, int fd, const char *path, GError **error)
{
    const DiskManifestBlock *block = &g_array_index(manifest->blocks, DiskManifestBlock, equal->number);
    g_auto(Fd) in = open(equal->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint64_t at = block->raw_offset, end = at + block->raw_size, start;

    if (in < 0)
        return error_set_errno(error, "%s: cannot open", equal->path);
    while (disk_manifest_next_data(manifest, at, end, &start, &at))
        if (!disk_copy_range(in, equal->path, equal->from + (start - block->raw_offset), fd, path, start,
                             at - start, NULL, error))
            return false;
    return true;
}

static bool
copy_equal(const DiskManifest *manifest, const GPtrArray *equals, int fd, const char *path, GError **error)
{
    if (equals->len > 0 && ftruncate(fd, (off_t)manifest->raw_size) < 0)
        return error_set_errno(error, "%s: cannot set its size", path);
    for (guint i = 0; i < equals->len; i++)
        if (!copy_block(manifest, g_ptr_array_index(equals, i), fd, path, error))
            return false;
    return true;
}

/* ---- deltas ---- */

void
reuse_way_clear(ReuseWay *way)
{
    g_clear_pointer(&way->deltas, g_array_unref);
    g_clear_pointer(&way->base, g_free);
}

static bool
is_here(void *unused G_GNUC_UNUSED, const char *sha512)
{
    g_autofree char *path = cache_find_content(sha512);

    return path != NULL;
}

bool
reuse_find_way(const IndexEntry *entry, ReuseWay *out_way)
{
    out_way->deltas = ways_find(entry, is_here, NULL, &out_way->size);
    if (out_way->deltas == NULL)
        return false;
    out_way->base = cache_find_content(g_array_index(out_way->deltas, IndexDelta, 0).base_sha512);
    return out_way->base != NULL;
}

static bool
download(const Job *job, const IndexDelta *delta, int fd, const char *path, GError **error)
{
    g_auto(GStrv) urls = job_urls(job, delta->file);
    g_autofree char *label = g_strdup_printf("delta %s", job->entry->name);
    g_autoptr(Progress) progress = progress_new(label, delta->size);
    g_auto(NetAccess) access = {0};
    NetLimits limits;
    bool is_done = false;

    if (!access_init(job->catalogue->source, &access, &limits, error))
        return false;
    for (unsigned i = 0; urls[i] != NULL && !is_done; i++) {
        NetDownload download = {.url = urls[i], .fd = fd, .size = delta->size, .progress = progress};

        g_clear_error(error);
        if (!fd_size(fd, path, &download.offset, error))
            return false;
        is_done = download.offset == delta->size || net_download(&download, &limits, error);
        if (!is_done && !interrupt_check(NULL))
            return false;
    }
    return is_done;
}

/* The digest stands in the delta's name, which the signed index gives. */
static bool
is_right(const IndexDelta *delta, int fd, const char *path, GError **error)
{
    g_autofree char *digest = digest_file(DIGEST_SHA512, fd, path, error);

    if (digest == NULL)
        return false;
    if (g_str_has_suffix(delta->file, digest))
        return true;
    return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: does not have the digest that the index states",
                          delta->file);
}

static bool
is_digest(const uint8_t bytes[DISK_SHA512_BYTES], const char *hex)
{
    for (size_t i = 0; i < DISK_SHA512_BYTES; i++)
        if (g_ascii_xdigit_value(hex[2 * i]) << 4 != (bytes[i] & 0xf0) ||
            g_ascii_xdigit_value(hex[2 * i + 1]) != (bytes[i] & 0xf))
            return false;
    return true;
}

/* Made @to_fd of @base_fd. */
static bool
apply(const Job *job, const IndexDelta *delta, int delta_fd, int base_fd, const char *base, int to_fd,
      const char *to, GError **error)
{
    g_autofree char *label = g_strdup_printf("apply delta %s", job->entry->name);
    g_autoptr(DiskDelta) parsed = disk_delta_read(delta_fd, delta->file, error);
    g_autoptr(Progress) progress = NULL;

    if (parsed == NULL)
        return false;
    if (!is_digest(parsed->base_sha512, delta->base_sha512) ||
        !is_digest(parsed->image_sha512, delta->to_sha512) || parsed->raw_size > job_max_unpacked(job))
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: is for other images than the index states",
                              delta->file);
    progress = progress_new(label, parsed->raw_size);
    return disk_delta_apply(parsed, delta_fd, delta->file, base_fd, base, to_fd, to,
                            MIN(pool_default_threads(), APPLY_THREADS), progress, error);
}

/* A file without a name: what a killed run leaves of it is gone. */
static int
open_nameless(const Job *job, GError **error)
{
    g_autofree char *path = cache_temp_path(&job->key);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        error_set_errno(error, "%s: cannot open", path);
    else
        unlink(path);
    return fd;
}

/* A downloaded delta to the image itself stays until it is applied, so that nothing is fetched twice; what is wrong with it
 * goes. */
static bool
use_last(const Job *job, const IndexDelta *delta, int base_fd, const char *base, int fd, const char *path,
         GError **error)
{
    g_autofree char *delta_path = cache_delta_path(&job->key);
    g_auto(Fd) delta_fd = open(delta_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_used;

    if (delta_fd < 0)
        return error_set_errno(error, "%s: cannot open", delta_path);
    is_used = download(job, delta, delta_fd, delta_path, error) &&
              is_right(delta, delta_fd, delta_path, error) &&
              apply(job, delta, delta_fd, base_fd, base, fd, path, error);
    if (is_used || interrupt_check(NULL))
        unlink(delta_path);
    return is_used;
}

/* Nobody can tell whether an image on the way is right; the last one is compared with its manifest. Returns: it, or -1 */
static int
use_step(const Job *job, const IndexDelta *delta, int base_fd, const char *base, GError **error)
{
    g_auto(Fd) delta_fd = open_nameless(job, error);
    g_auto(Fd) to = delta_fd >= 0 ? open_nameless(job, error) : -1;

    if (to < 0 || !download(job, delta, delta_fd, delta->file, error) ||
        !is_right(delta, delta_fd, delta->file, error) ||
        !apply(job, delta, delta_fd, base_fd, base, to, "an image on the way", error))
        return -1;
    return fd_steal(&to);
}

static bool
use_way(const Job *job, const ReuseWay *way, int fd, const char *path, GError **error)
{
    g_auto(Fd) base = open(way->base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    guint last = way->deltas->len - 1;

    if (base < 0)
        return error_set_errno(error, "%s: cannot open", way->base);
    for (guint i = 0; i < last; i++) {
        int next = use_step(job, &g_array_index(way->deltas, IndexDelta, i), base, way->base, error);

        if (next < 0)
            return false;
        fd_close(base);
        base = next;
    }
    return use_last(job, &g_array_index(way->deltas, IndexDelta, last), base, way->base, fd, path, error);
}

/* ---- the choice ---- */

static bool
begin_anew(int fd, const char *path, GError **error)
{
    return ftruncate(fd, 0) == 0 || error_set_errno(error, "%s: cannot begin anew", path);
}

bool
reuse_fill(const Job *job, const DiskManifest *manifest, int fd, const char *path, GError **error)
{
    g_autofree char *delta_path = cache_delta_path(&job->key);
    g_autoptr(GPtrArray) equals = NULL;
    g_autoptr(GError) problem = NULL;
    g_auto(ReuseWay) way = {0};
    uint64_t left, size;
    bool is_delta_begun = access(delta_path, F_OK) == 0;

    /* A pull that goes on has its blocks; only one that died over its delta begins anew with it. */
    if (!fd_size(fd, path, &size, error))
        return false;
    if (size > 0 && !is_delta_begun)
        return true;
    if (!begin_anew(fd, path, error))
        return false;
    equals = find_equal(job, manifest, &left);
    if (job->key.kind == DIGEST_SHA512 && reuse_find_way(job->entry, &way) && way.size < left) {
        if (use_way(job, &way, fd, path, &problem))
            return true;
        if (!interrupt_check(error) || !begin_anew(fd, path, error))
            return false;
        g_ptr_array_add(job->warnings,
                        g_strdup_printf("%s: the delta from revision %" G_GUINT64_FORMAT
                                        " cannot be used: %s",
                                        job->entry->name, g_array_index(way.deltas, IndexDelta, 0).revision,
                                        problem->message));
        g_clear_error(&problem);
    }
    if (copy_equal(manifest, equals, fd, path, &problem))
        return true;
    if (!interrupt_check(error) || !begin_anew(fd, path, error))
        return false;
    g_ptr_array_add(job->warnings, g_strdup(problem->message));
    return true;
}
