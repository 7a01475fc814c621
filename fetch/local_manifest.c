// SPDX-License-Identifier: Apache-2.0
/* The file: magic, SHA-256 over the id and what follows, and the manifest as it would be published. */
#include "fetch/local_manifest.h"

#include "base/file.h"

#include <string.h>

#define MAGIC "vdlocal1"
#define HEAD_BYTES (strlen(MAGIC) + DISK_SHA256_BYTES)

static void
seal(const CacheKey *key, const void *content, size_t size, uint8_t out[DISK_SHA256_BYTES])
{
    g_autoptr(Digest) digest = digest_new(DIGEST_SHA256);

    digest_update(digest, key->id, strlen(key->id) + 1); /* and its end */
    digest_update(digest, content, size);
    digest_finish_sha256(digest, out);
}

bool
local_manifest_write(const CacheKey *key, const DiskManifest *manifest, GError **error)
{
    g_autofree char *path = cache_local_manifest_path(key);
    g_autoptr(GBytes) content = disk_manifest_print(manifest, error);
    g_autoptr(GByteArray) file = g_byte_array_new();
    uint8_t digest[DISK_SHA256_BYTES];

    if (content == NULL)
        return false;
    seal(key, g_bytes_get_data(content, NULL), g_bytes_get_size(content), digest);
    g_byte_array_append(file, (const uint8_t *)MAGIC, strlen(MAGIC));
    g_byte_array_append(file, digest, sizeof digest);
    g_byte_array_append(file, g_bytes_get_data(content, NULL), (guint)g_bytes_get_size(content));
    return file_write_atomic(path, file->data, file->len, 0644, error);
}

DiskManifest *
local_manifest_read(const CacheKey *key)
{
    g_autofree char *path = cache_local_manifest_path(key);
    g_autoptr(GBytes) file = file_read(path, HEAD_BYTES + DISK_MANIFEST_MAX_BYTES, NULL);
    const uint8_t *data = file != NULL ? g_bytes_get_data(file, NULL) : NULL;
    size_t size = file != NULL ? g_bytes_get_size(file) : 0;
    uint8_t digest[DISK_SHA256_BYTES];

    if (size < HEAD_BYTES || memcmp(data, MAGIC, strlen(MAGIC)) != 0)
        return NULL;
    seal(key, data + HEAD_BYTES, size - HEAD_BYTES, digest);
    if (memcmp(digest, data + strlen(MAGIC), sizeof digest) != 0)
        return NULL;
    return disk_manifest_parse(data + HEAD_BYTES, size - HEAD_BYTES, path, NULL);
}
