// SPDX-License-Identifier: Apache-2.0
/* Blobs of a folder repository: written under a dot name, named by their digest when complete and durable. */
#include "base/digest.h"
#include "base/file.h"
#include "store/dir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_MODE 0644 /* for whatever serves the repository; blobs are public by their nature */

void
store_upload_clear(StoreUpload *upload)
{
    if (upload->path != NULL)
        unlink(upload->path);
    g_clear_pointer(&upload->path, g_free);
    if (upload->fd >= 0)
        fd_close(fd_steal(&upload->fd));
}

static bool
begin(Store *store, StoreUpload *out_upload, GError **error)
{
    g_auto(StoreUpload) upload = STORE_UPLOAD_NONE;
    g_autofree char *path = store_path(store, STORE_UPLOAD_PREFIX "XXXXXX");

    upload.fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    if (upload.fd < 0)
        return error_set_errno(error, "%s: cannot make a temporary file", store->dir);
    upload.path = g_steal_pointer(&path);
    if (flock(upload.fd, LOCK_EX | LOCK_NB) < 0)
        return error_set_errno(error, "%s: cannot lock", upload.path);
    *out_upload = upload;
    upload = STORE_UPLOAD_NONE;
    return true;
}

bool
store_upload_begin(Store *store, StoreUpload *out_upload, GError **error)
{
    bool is_locked = store->lock >= 0;
    bool is_ok;

    /* Under the lock nobody cleans up, so the file cannot be taken for abandoned before it is locked itself.
     */
    if (!is_locked && !store_lock(store, true, error))
        return false;
    is_ok = begin(store, out_upload, error);
    if (!is_locked)
        store_unlock(store);
    return is_ok;
}

/* has_blob: a file of another size under that name is damaged, and is replaced. */
static bool
has_blob(const char *path, int fd)
{
    struct stat blob, upload;

    return lstat(path, &blob) == 0 && S_ISREG(blob.st_mode) && fstat(fd, &upload) == 0 &&
           blob.st_size == upload.st_size;
}

/* sync_parents: the folders from the blob's up to the repository's own, as any may be new. */
static bool
sync_parents(const Store *store, const char *blob, GError **error)
{
    g_autofree char *path = g_path_get_dirname(blob);

    while (g_str_has_prefix(path, store->dir)) {
        g_autofree char *child = g_steal_pointer(&path);

        if (!file_sync_dir(child, error))
            return false;
        path = g_path_get_dirname(child);
        if (g_str_equal(child, store->dir))
            break;
    }
    return true;
}

bool
store_upload_finish(Store *store, StoreUpload *upload, const char *sha512, char **out_path, GError **error)
{
    g_autofree char *relative = NULL;
    g_autofree char *path = NULL;
    g_autofree char *parent = NULL;

    g_assert(digest_is_hex(DIGEST_SHA512, sha512));
    relative = g_strdup_printf(STORE_BLOBS "/%.2s/%s", sha512, sha512);
    path = store_path(store, relative);
    parent = g_path_get_dirname(path);
    if (!file_make_dirs(parent, 0755, error))
        return false;
    if (!has_blob(path, upload->fd)) {
        if (fchmod(upload->fd, BLOB_MODE) < 0 || fsync(upload->fd) < 0 || rename(upload->path, path) < 0)
            return error_set_errno(error, "%s: cannot store", path);
        g_clear_pointer(&upload->path, g_free);
    }
    if (!sync_parents(store, path, error))
        return false;
    store_upload_clear(upload);
    *out_path = g_steal_pointer(&relative);
    return true;
}
