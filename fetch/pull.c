// SPDX-License-Identifier: Apache-2.0
/*
 * The pull pipeline, for one image under one lock: download (resumed), digest, and only then the decoder; the result
 * is checked, made read-only and renamed into place. Killed anywhere it leaves the partial download, which the next
 * pull goes on with, and at most one temporary image, which the next pull removes.
 */
#include "fetch/pull.h"

#include "base/file.h"
#include "base/pool.h"
#include "fetch/access.h"
#include "fetch/cache.h"
#include "fetch/record.h"
#include "net/net.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a published file may have beyond the image's size where the index does not state it: xz adds less than 0.1 %
 * to data that does not shrink, qcow2 about 0.2 % of tables. */
#define SLACK(size) ((size) / 8 + (64u << 20))
/* Where nobody states the image's size, as in simplestreams: the file's digest is known all the same. */
#define MAX_UNSTATED (G_GUINT64_CONSTANT(1) << 40)

typedef struct {
    const Catalogue *catalogue;
    const IndexEntry *entry;
    CacheKey key;
    char *partial;
    char *temp;
} Pull;

static void
pull_clear(Pull *pull)
{
    cache_key_clear(&pull->key);
    g_free(pull->partial);
    g_free(pull->temp);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pull, pull_clear)

/* How large the file to download, or what comes out of it, may be where it is not said exactly. */
static uint64_t
max_unpacked(const IndexEntry *entry)
{
    return entry->size > 0 ? entry->size + SLACK(entry->size) : MAX_UNSTATED;
}

typedef struct {
    DiskFormat format;
    uint64_t size; /* virtual */
} ImageFacts;

static FetchImage *
new_image(const char *source, const IndexEntry *entry, const char *path, const ImageFacts *facts)
{
    FetchImage *image = g_new0(FetchImage, 1);

    image->path = g_strdup(path);
    image->format = facts->format;
    image->virtual_size = facts->size;
    image->source = g_strdup(source);
    image->entry = index_entry_copy(entry);
    image->entry->size = facts->size; /* now it is known, whoever did not state it */
    return image;
}

/* Only what is certain to be needed: a raw image is sparse, so its size says nothing of the space it takes. */
static bool
check_space(const Pull *pull, uint64_t have, GError **error)
{
    g_autofree char *folder = cache_images_folder();
    struct statvfs fs;
    uint64_t packed = pull->entry->compressed_size, needed, available;

    if (packed == 0 || statvfs(folder, &fs) < 0)
        return true;
    needed = packed - MIN(have, packed) + packed; /* what is decoded is no smaller than what was packed */
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (needed > available) {
        g_autofree char *needs = cli_format_size(needed), *has = cli_format_size(available);

        return error_set(error, "%s: %s needs at least %s and only %s are free", folder, pull->entry->name,
                         needs, has);
    }
    return true;
}

static bool
download_from(const Pull *pull, const char *uri, int fd, GError **error)
{
    const IndexEntry *entry = pull->entry;
    g_autofree char *url = net_url_join(uri, entry->file);
    g_autofree char *label = g_strdup_printf("download %s", entry->name);
    g_autoptr(Progress) progress = progress_new(label, entry->compressed_size);
    g_auto(NetAccess) access = {0};
    NetLimits limits;
    uint64_t have;

    if (!fd_size(fd, pull->partial, &have, error) ||
        !access_init(pull->catalogue->source, &access, &limits, error))
        return false;
    if (entry->compressed_size > 0 && have > entry->compressed_size) {
        if (ftruncate(fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", pull->partial);
        have = 0;
    }
    if (!check_space(pull, have, error))
        return false;
    return net_download(&(NetDownload){.url = url,
                                       .fd = fd,
                                       .offset = have,
                                       .size = entry->compressed_size,
                                       .max_size = max_unpacked(entry),
                                       .progress = progress},
                        &limits, error);
}

/* From the server that the index came from, then from the others of the source; @start: how many of them to pass over,
 * in turn. The first failure is the one to report. */
static bool
download(const Pull *pull, unsigned start, int fd, GError **error)
{
    const Source *source = pull->catalogue->source;
    unsigned n = 1 + g_strv_length(source->mirrors);
    g_autoptr(GError) first = NULL;
    unsigned from = 0; /* where the index came from */

    for (unsigned i = 1; i < n; i++)
        if (strcmp(source->mirrors[i - 1], pull->catalogue->uri) == 0)
            from = i;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (from + start + i) % n;
        g_autoptr(GError) problem = NULL;

        if (download_from(pull, at == 0 ? source->uri : source->mirrors[at - 1], fd, &problem))
            return true;
        if (first == NULL || g_error_matches(problem, BASE_ERROR, BASE_ERROR_INTERRUPTED)) {
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
        }
        if (g_error_matches(first, BASE_ERROR, BASE_ERROR_INTERRUPTED))
            break;
    }
    g_propagate_error(error, g_steal_pointer(&first));
    return false;
}

static bool
has_digest(const Pull *pull, int fd, bool *out_is_right, GError **error)
{
    g_autofree char *digest = digest_file(pull->key.kind, fd, pull->partial, error);

    if (digest == NULL)
        return false;
    *out_is_right = strcmp(digest, pull->key.digest) == 0;
    return true;
}

/* Complete and with the digest of the index, or emptied: what is wrong once is not resumed. */
static bool
download_verified(const Pull *pull, int fd, GError **error)
{
    unsigned n_attempts = MAX(2, 1 + g_strv_length(pull->catalogue->source->mirrors));
    bool is_right = false;

    /* Without a stated size a complete download cannot be told from a partial one but by its digest. */
    if (pull->entry->compressed_size == 0 && !has_digest(pull, fd, &is_right, error))
        return false;
    for (unsigned attempt = 0; attempt < n_attempts && !is_right; attempt++) {
        if (!download(pull, attempt, fd, error) || !has_digest(pull, fd, &is_right, error))
            return false;
        if (!is_right && ftruncate(fd, 0) < 0)
            return error_set_errno(error, "%s: cannot truncate", pull->partial);
    }
    if (is_right)
        return true;
    return error_set_code(
        error, BASE_ERROR_UNTRUSTED,
        "%s: its file '%s' does not have the checksum that the index states, so it was altered or "
        "damaged on the way",
        pull->entry->name, pull->entry->file);
}

static bool
unpack(const Pull *pull, int in, int out, GError **error)
{
    const IndexEntry *entry = pull->entry;
    g_autofree char *label = g_strdup_printf("unpack %s", entry->name);
    g_autoptr(Progress) progress = progress_new(label, entry->size);
    bool is_raw = g_strcmp0(entry->format, "raw") == 0;
    DiskCopyKind kind;

    if (!disk_is_xz(in))
        return disk_copy(in, pull->partial, out, pull->temp, progress, &kind, error);
    return disk_xz_decompress(in, pull->partial, out, pull->temp,
                              is_raw && entry->size > 0 ? entry->size : max_unpacked(entry),
                              pool_default_threads(), progress, error);
}

/* The signed index vouches for the bytes, not for their meaning: a backing file would be any file of this host. */
static bool
check_image(const IndexEntry *entry, int fd, ImageFacts *out_facts, GError **error)
{
    g_auto(DiskInfo) info = {0};

    if (!disk_probe(fd, entry->name, &info, error))
        return false;
    if (info.backing_file != NULL || info.has_data_file)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the image refers to another file, which is refused", entry->name);
    if (entry->format != NULL && strcmp(entry->format, disk_format_name(info.format)) != 0)
        return error_set_code(error, BASE_ERROR_UNTRUSTED, "%s: the image is %s, but the index says %s",
                              entry->name, disk_format_name(info.format), entry->format);
    if (entry->size > 0 && info.virtual_size != entry->size)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s: the image has %" G_GUINT64_FORMAT
                              " bytes, but the index says %" G_GUINT64_FORMAT,
                              entry->name, info.virtual_size, entry->size);
    *out_facts = (ImageFacts){.format = info.format, .size = info.virtual_size};
    return true;
}

/* What is in the cache but does not look like the entry (another source's claim, a damaged disk) counts as absent. */
FetchImage *
pull_cached(const char *source, const IndexEntry *entry)
{
    g_auto(CacheKey) key = {0};
    g_auto(Fd) fd = -1;
    DiskFormat named;
    ImageFacts facts;
    g_autofree char *path = cache_key_init(&key, entry, NULL) ? cache_find(&key, &named) : NULL;

    if (path != NULL)
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !check_image(entry, fd, &facts, NULL) || facts.format != named)
        return NULL;
    return new_image(source, entry, path, &facts);
}

/* From the verified partial download to the image in place. */
static bool
publish(const Pull *pull, int partial, int temp, char **out_path, ImageFacts *out_facts, GError **error)
{
    g_autofree char *folder = cache_images_folder(), *path = NULL;

    if (!unpack(pull, partial, temp, error) || !check_image(pull->entry, temp, out_facts, error))
        return false;
    path = cache_image_path(&pull->key, out_facts->format);
    if (fchmod(temp, 0444) < 0 || fsync(temp) < 0 || rename(pull->temp, path) < 0)
        return error_set_errno(error, "%s: cannot be completed", path);
    if (!file_sync_dir(folder, error))
        return false;
    *out_path = g_steal_pointer(&path);
    return true;
}

/* @error must not be NULL. */
static FetchImage *
pull_locked(const Pull *pull, GError **error)
{
    g_auto(Fd) partial = -1, temp = -1;
    g_autofree char *path = NULL;
    ImageFacts facts;

    partial = open(pull->partial, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (partial < 0) {
        error_set_errno(error, "%s: cannot open", pull->partial);
        return NULL;
    }
    if (!download_verified(pull, partial, error)) {
        struct stat status;

        if (fstat(partial, &status) == 0 && status.st_size == 0)
            unlink(pull->partial);
        return NULL;
    }
    if (!file_remove(pull->temp, error))
        return NULL;
    temp = open(pull->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (temp < 0) {
        error_set_errno(error, "%s: cannot create", pull->temp);
        return NULL;
    }
    if (!publish(pull, partial, temp, &path, &facts, error)) {
        unlink(pull->temp);
        if (g_error_matches(*error, BASE_ERROR, BASE_ERROR_UNTRUSTED)) /* another try would end the same */
            unlink(pull->partial);
        return NULL;
    }
    if (!file_remove(pull->partial, error))
        return NULL;
    return new_image(pull->catalogue->source->name, pull->entry, path, &facts);
}

static RecordOwner
owner_of(const Catalogue *catalogue)
{
    return (RecordOwner){.source = catalogue->source->name, .repo_id = catalogue->opened.index->repo_id};
}

bool
pull_check(const Catalogue *catalogue, const IndexEntry *entry, bool may_downgrade, GError **error)
{
    const RecordOwner owner = owner_of(catalogue);
    uint64_t highest;

    if (catalogue->refusal != NULL) {
        g_propagate_error(error, g_error_copy(catalogue->refusal));
        return false;
    }
    highest = may_downgrade ? 0 : record_revision(&owner, entry);
    if (entry->revision < highest)
        return error_set_code(error, BASE_ERROR_UNTRUSTED,
                              "%s/%s: revision %" G_GUINT64_FORMAT
                              " is offered, but revision %" G_GUINT64_FORMAT
                              " was pulled before; 'virt-depot pull --allow-downgrade' takes the older one",
                              owner.source, entry->name, entry->revision, highest);
    return true;
}

FetchImage *
pull_entry(const Catalogue *catalogue, const IndexEntry *entry, bool may_downgrade, GError **error)
{
    const RecordOwner owner = owner_of(catalogue);
    g_auto(Pull) pull = {.catalogue = catalogue, .entry = entry};
    g_autofree char *lock_path = NULL;
    g_auto(Fd) lock = -1;
    g_autoptr(FetchImage) image = NULL;

    if (!pull_check(catalogue, entry, may_downgrade, error) || !cache_key_init(&pull.key, entry, error) ||
        !cache_prepare(error))
        return NULL;
    pull.partial = cache_partial_path(&pull.key);
    pull.temp = cache_temp_path(&pull.key);
    image = pull_cached(catalogue->source->name, entry);
    if (image == NULL) {
        if (!cache_sweep(error))
            return NULL;
        lock_path = cache_lock_path(&pull.key);
        lock = file_lock(lock_path, true, error);
        if (lock < 0)
            return NULL;
        image = pull_cached(catalogue->source->name, entry); /* another process was faster */
        if (image == NULL)
            image = pull_locked(&pull, error);
        unlink(lock_path); /* under the lock: who waits for it sees that it lost its name */
    }
    if (image == NULL || !record_write(&pull.key, &owner, image->entry, error) ||
        (may_downgrade && !record_forget_above(&owner, entry, error)))
        return NULL;
    return g_steal_pointer(&image);
}
