// SPDX-License-Identifier: Apache-2.0
/* The blobs that a folder repository holds: listing, opening and removing them. upload.c makes them. */
#include "base/digest.h"
#include "base/file.h"
#include "store/dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX STORE_BLOBS "/"
#define FAN_OUT 2 /* hex digits that name the folder of a blob */

void
store_blob_free(StoreBlob *blob)
{
    if (blob == NULL)
        return;
    g_free(blob->path);
    g_free(blob);
}

static bool
is_lower_hex(const char *text)
{
    return text[strspn(text, "0123456789abcdef")] == '\0';
}

bool
store_is_blob(const char *path)
{
    const char *hex = path + strlen(PREFIX) + FAN_OUT + 1;

    return strlen(path) == strlen(PREFIX) + FAN_OUT + 1 + 128 && g_str_has_prefix(path, PREFIX) &&
           hex[-1] == '/' && memcmp(hex, hex - FAN_OUT - 1, FAN_OUT) == 0 && is_lower_hex(hex) &&
           digest_is_hex(DIGEST_SHA512, hex);
}

static bool
list_folder(const Store *store, const char *folder, GPtrArray *blobs, GError **error)
{
    g_autofree char *parent = store_path(store, folder);
    g_autoptr(GDir) dir = g_dir_open(parent, 0, error);
    const char *name;

    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *relative = g_build_filename(folder, name, NULL);
        g_autofree char *path = store_path(store, relative);
        struct stat status;
        StoreBlob *blob;

        if (!store_is_blob(relative) || lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
            continue;
        blob = g_new0(StoreBlob, 1);
        blob->path = g_steal_pointer(&relative);
        blob->size = (uint64_t)status.st_size;
        blob->written = status.st_mtim.tv_sec;
        g_ptr_array_add(blobs, blob);
    }
    return true;
}

static int
compare_blobs(const void *a, const void *b)
{
    return strcmp((*(StoreBlob *const *)a)->path, (*(StoreBlob *const *)b)->path);
}

GPtrArray *
store_list_blobs(Store *store, GError **error)
{
    g_autofree char *parent = store_path(store, STORE_BLOBS);
    g_autoptr(GPtrArray) blobs = g_ptr_array_new_with_free_func((GDestroyNotify)store_blob_free);
    g_autoptr(GDir) dir = NULL;
    const char *name;

    if (!g_file_test(parent, G_FILE_TEST_EXISTS)) /* nothing was added yet */
        return g_steal_pointer(&blobs);
    dir = g_dir_open(parent, 0, error);
    if (dir == NULL)
        return NULL;
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *folder = g_strconcat(PREFIX, name, NULL);

        if (strlen(name) == FAN_OUT && is_lower_hex(name) && !list_folder(store, folder, blobs, error))
            return NULL;
    }
    g_ptr_array_sort(blobs, compare_blobs);
    return g_steal_pointer(&blobs);
}

int
store_open_blob(Store *store, const char *path, GError **error)
{
    g_auto(Fd) dir = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd;

    if (dir < 0) {
        error_set_errno(error, "%s", store->dir);
        return -1;
    }
    fd = file_open_beneath(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, error);
    if (fd < 0)
        g_prefix_error(error, "%s: ", store->dir);
    return fd;
}

bool
store_remove_blob(Store *store, const char *path, GError **error)
{
    g_autofree char *absolute = store_path(store, path);

    g_assert(store->lock >= 0 && store_is_blob(path));
    return file_remove(absolute, error); /* its folder stays: another upload may be about to use it */
}
