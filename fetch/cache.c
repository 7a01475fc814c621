// SPDX-License-Identifier: Apache-2.0
/* The cache's folders, names and litter. */
#include "fetch/cache.h"

#include "base/file.h"
#include "base/paths.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_PREFIX ".tmp-"
#define BLOB_PREFIX "blobs/sha512/"
#define VOUCHER_DIGITS 32 /* 128 bits, of which nobody finds a second one */

void
cache_key_clear(CacheKey *key)
{
    g_clear_pointer(&key->digest, g_free);
    g_clear_pointer(&key->id, g_free);
}

/* The digest in "blobs/sha512/ab/HEX", or NULL for anything else: the field is the publisher's word. */
const char *
cache_blob_digest(const char *blob)
{
    const char *rest;

    if (!g_str_has_prefix(blob, BLOB_PREFIX))
        return NULL;
    rest = blob + strlen(BLOB_PREFIX);
    if (strlen(rest) < 3 || rest[2] != '/' || !digest_is_hex(DIGEST_SHA512, rest + 3) ||
        strncmp(rest, rest + 3, 2) != 0)
        return NULL;
    return rest + 3;
}

/* By a manifest an image is what the manifest says, whatever file the index names beside it: another source with another manifest
 * for the same file has another image. */
static void
add_voucher(CacheKey *key, const IndexEntry *entry)
{
    const char *blob = index_entry_extension(entry, INDEX_MANIFEST);
    const char *manifest = blob != NULL ? cache_blob_digest(blob) : NULL;
    g_autofree char *file = NULL, *lower = NULL;

    if (manifest == NULL)
        return;
    file = g_steal_pointer(&key->id);
    lower = g_ascii_strdown(manifest, VOUCHER_DIGITS);
    key->id = g_strdup_printf("%s-%s", file, lower);
}

bool
cache_key_init(CacheKey *key, const IndexEntry *entry, GError **error)
{
    if (entry->sha512 != NULL && digest_is_hex(DIGEST_SHA512, entry->sha512)) {
        key->kind = DIGEST_SHA512;
        key->digest = g_ascii_strdown(entry->sha512, -1);
        key->id = g_strdup(key->digest);
    } else if (entry->sha256 != NULL && digest_is_hex(DIGEST_SHA256, entry->sha256)) {
        key->kind = DIGEST_SHA256;
        key->digest = g_ascii_strdown(entry->sha256, -1);
        key->id = g_strconcat("sha256-", key->digest, NULL);
    } else {
        return error_set_code(
            error, BASE_ERROR_UNTRUSTED,
            "%s: the index has no SHA-512 or SHA-256 checksum of it, so it cannot be verified", entry->name);
    }
    add_voucher(key, entry);
    return true;
}

static char *
cache_path(const char *folder, const char *prefix, const char *id, const char *suffix)
{
    g_autofree char *cache = path_cache();
    g_autofree char *leaf = g_strconcat(prefix, id, suffix, NULL);

    return g_build_filename(cache, folder, leaf, NULL);
}

char *
cache_images_folder(void)
{
    g_autofree char *cache = path_cache();

    return g_build_filename(cache, "images", NULL);
}

bool
cache_prepare(GError **error)
{
    g_autofree char *cache = path_cache(), *images = cache_images_folder();
    g_autofree char *partial = g_build_filename(cache, "partial", NULL);

    return file_make_dirs(cache, 0755, error) && file_make_dirs(images, 0755, error) &&
           file_make_dirs(partial, 0700, error);
}

char *
cache_image_path(const CacheKey *key, DiskFormat format)
{
    return cache_path("images", "", key->id, format == DISK_RAW ? ".raw" : ".qcow2");
}

char *
cache_temp_path(const CacheKey *key)
{
    return cache_path("images", TEMP_PREFIX, key->id, "");
}

char *
cache_partial_path(const CacheKey *key)
{
    return cache_path("partial", "", key->id, ".part");
}

char *
cache_blocks_path(const CacheKey *key)
{
    return cache_path("partial", "", key->id, ".blocks");
}

char *
cache_delta_path(const CacheKey *key)
{
    return cache_path("partial", "", key->id, ".delta");
}

char *
cache_manifest_path(const CacheKey *key)
{
    return cache_path("images", "", key->id, ".manifest");
}

char *
cache_local_manifest_path(const CacheKey *key)
{
    return cache_path("images", "", key->id, ".local-manifest");
}

char *
cache_lock_path(const CacheKey *key)
{
    return cache_path("partial", "", key->id, ".lock");
}

char *
cache_index_folder(const char *source)
{
    return cache_path("index", "", source, "");
}

bool
cache_is_own(const char *path)
{
    g_autofree char *images = cache_images_folder(), *folder = g_path_get_dirname(path);

    return strcmp(images, folder) == 0;
}

/* Whoever may write could exchange what was verified. */
static bool
is_trusted(const struct stat *status)
{
    return (status->st_uid == 0 || status->st_uid == geteuid()) && (status->st_mode & 022) == 0;
}

/* find_shared: (transfer full) (nullable) the file @leaf in the shared cache. */
static char *
find_shared(const char *leaf)
{
    g_autofree char *shared = path_shared_cache();
    g_autofree char *folder = shared == NULL ? NULL : g_build_filename(shared, "images", NULL);
    g_autofree char *path = shared == NULL ? NULL : g_build_filename(folder, leaf, NULL);
    struct stat status;

    if (shared == NULL || lstat(folder, &status) < 0 || !S_ISDIR(status.st_mode) || !is_trusted(&status) ||
        lstat(path, &status) < 0 || !S_ISREG(status.st_mode) || !is_trusted(&status))
        return NULL;
    return g_steal_pointer(&path);
}

char *
cache_find(const CacheKey *key, DiskFormat *out_format)
{
    static const DiskFormat FORMATS[] = {DISK_RAW, DISK_QCOW2};

    for (size_t i = 0; i < 2 * G_N_ELEMENTS(FORMATS); i++) {
        const DiskFormat format = FORMATS[i % G_N_ELEMENTS(FORMATS)];
        g_autofree char *path = cache_image_path(key, format), *leaf = g_path_get_basename(path);
        struct stat status;

        if (i >= G_N_ELEMENTS(FORMATS)) {
            g_free(path);
            path = find_shared(leaf);
        } else if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode)) {
            g_clear_pointer(&path, g_free);
        }
        if (path != NULL) {
            *out_format = format;
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

/* (transfer full) (nullable) an image in the folder @images below @cache. */
static char *
find_content(const char *cache, const char *sha512)
{
    g_autofree char *images = g_build_filename(cache, "images", NULL);
    g_autoptr(GDir) dir = g_dir_open(images, 0, NULL);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        const size_t length = strlen(sha512);

        if (g_ascii_strncasecmp(leaf, sha512, length) == 0 && (leaf[length] == '-' || leaf[length] == '.') &&
            (g_str_has_suffix(leaf, ".raw") || g_str_has_suffix(leaf, ".qcow2")))
            return g_build_filename(images, leaf, NULL);
    }
    return NULL;
}

char *
cache_find_content(const char *sha512)
{
    g_autofree char *own = path_cache(), *shared = path_shared_cache(), *leaf = NULL;
    char *path = find_content(own, sha512);

    if (path != NULL || shared == NULL)
        return path;
    path = find_content(shared, sha512);
    leaf = path != NULL ? g_path_get_basename(path) : NULL;
    g_free(path);
    return leaf != NULL ? find_shared(leaf) : NULL;
}

bool
cache_sweep(GError **error)
{
    g_autofree char *images = cache_images_folder();
    g_autoptr(GDir) dir = g_dir_open(images, 0, NULL);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *temp = g_build_filename(images, leaf, NULL), *lock_path = NULL;
        g_auto(Fd) lock = -1;

        if (!g_str_has_prefix(leaf, TEMP_PREFIX))
            continue;
        lock_path = cache_path("partial", "", leaf + strlen(TEMP_PREFIX), ".lock");
        lock = file_lock(lock_path, false, NULL);
        if (lock < 0) /* a live pull's */
            continue;
        if (!file_remove(temp, error) || !file_remove(lock_path, error))
            return false;
    }
    return true;
}
