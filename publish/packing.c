// SPDX-License-Identifier: Apache-2.0
#include "publish/packing.h"

#include "base/digest.h"

void
publish_packing_drop_previous(PublishPacking *packing)
{
    g_clear_pointer(&packing->previous, disk_manifest_free);
    if (packing->previous_fd >= 0)
        fd_close(fd_steal(&packing->previous_fd));
}

void
publish_packing_clear(PublishPacking *packing)
{
    publish_packing_drop_previous(packing);
    store_upload_clear(&packing->upload);
    disk_packed_clear(&packing->result);
}

/* ---- the revision before ---- */

static GBytes *
read_blob(int fd, const char *path, GError **error)
{
    g_autofree uint8_t *data = NULL;
    g_autofree char *digest = NULL;
    uint64_t size;

    if (!fd_size(fd, path, &size, error))
        return NULL;
    if (size > DISK_MANIFEST_MAX_BYTES) {
        error_set(error, "%s: larger than a manifest can be", path);
        return NULL;
    }
    data = g_malloc(size + 1);
    if (!fd_pread_exact(fd, data, size, 0, path, error))
        return NULL;
    digest = digest_bytes(DIGEST_SHA512, data, size);
    if (!g_str_has_suffix(path, digest)) {
        error_set(error, "%s: is damaged: it does not match its digest", path);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), size);
}

/* A blob's name is its digest; the image's blocks are compared with the manifest when they are copied. */
bool
publish_packing_find(PublishPacking *packing, Store *store, const char *file, const char *manifest,
                     GError **error)
{
    g_auto(Fd) fd = -1, image = -1;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(DiskManifest) parsed = NULL;

    if (file == NULL || manifest == NULL)
        return true;
    fd = store_open_blob(store, manifest, error);
    bytes = fd >= 0 ? read_blob(fd, manifest, error) : NULL;
    if (bytes == NULL)
        return false;
    parsed = disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), manifest, error);
    image = parsed != NULL ? store_open_blob(store, file, error) : -1;
    if (image < 0)
        return false;
    packing->previous = g_steal_pointer(&parsed);
    packing->previous_fd = fd_steal(&image);
    return true;
}

/* ---- packing ---- */

bool
publish_packing_run(PublishPacking *packing, Store *store, const PublishImage *image, const char *name,
                    DiskCodec codec, unsigned threads, GError **error)
{
    g_autofree char *label =
        g_strdup_printf("compress %s%s", name, codec == DISK_XZ ? "" : " once more as zstd");
    g_autoptr(Progress) progress = NULL;
    DiskPackJob job = {.codec = codec,
                       .threads = threads,
                       .previous = packing->previous,
                       .previous_fd = packing->previous_fd};
    uint64_t size;

    if (!fd_size(image->fd, image->path, &size, error) || !store_upload_begin(store, &packing->upload, error))
        return false;
    progress = progress_new(label, size);
    job.progress = progress;
    return disk_pack(image->fd, image->path, packing->upload.fd, store_location(store), &job,
                     &packing->result, error) &&
           publish_image_check_unchanged(image, error);
}

/* ---- blobs ---- */

char *
publish_store_bytes(Store *store, const void *data, size_t size, GError **error)
{
    g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;
    g_autofree char *digest = digest_bytes(DIGEST_SHA512, data, size);
    char *path = NULL;

    if (!store_upload_begin(store, &upload, error) ||
        !fd_write_all(upload.fd, data, size, store_location(store), error) ||
        !store_upload_finish(store, &upload, digest, &path, error))
        return NULL;
    return path;
}

bool
publish_packing_store(PublishPacking *packing, Store *store, PublishBlob *out_file, PublishBlob *out_manifest,
                      GError **error)
{
    g_autoptr(GBytes) bytes = disk_manifest_print(packing->result.manifest, error);

    if (bytes == NULL ||
        !store_upload_finish(store, &packing->upload, packing->result.sha512, &out_file->path, error))
        return false;
    out_file->size = packing->result.compressed_size;
    out_manifest->size = g_bytes_get_size(bytes);
    out_manifest->path = publish_store_bytes(store, g_bytes_get_data(bytes, NULL), out_manifest->size, error);
    return out_manifest->path != NULL;
}
