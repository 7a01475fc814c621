// SPDX-License-Identifier: Apache-2.0
#include "fetch/seal.h"

#include "base/file.h"
#include "base/json.h"
#include "base/paths.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_SEAL (16u << 10) /* three numbers and a path */

static char *
seal_path(const char *id)
{
    g_autofree char *state = path_state(), *leaf = g_strconcat(id, ".json", NULL);

    return g_build_filename(state, "sealed", leaf, NULL);
}

static int64_t
changed_ns(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

static bool
write_seal(const char *id, const char *path, const struct stat *status, GError **error)
{
    g_autofree char *seal = seal_path(id), *folder = g_path_get_dirname(seal), *text = NULL;
    g_autoptr(Json) json = json_new_object();

    json_set_text(json, "path", path);
    json_set_number(json, "size", (int64_t)status->st_size);
    json_set_number(json, "changed_ns", changed_ns(status));
    text = json_print(json);
    return file_make_dirs(folder, 0755, error) && file_write_atomic(seal, text, strlen(text), 0644, error);
}

bool
seal_write(const char *id, const char *path, int fd, GError **error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set_errno(error, "%s", path);
    return write_seal(id, path, &status, error);
}

bool
seal_renew(const char *id, const char *path, const struct stat *status, GError **error)
{
    g_autofree char *seal = seal_path(id);
    const struct timespec used = {.tv_sec = (time_t)seal_last_used(id)}, times[] = {used, used};

    if (!write_seal(id, path, status, error))
        return false;
    if (used.tv_sec != 0)
        utimensat(AT_FDCWD, seal, times, 0);
    return true;
}

SealState
seal_check(const char *id, const char *path, int fd)
{
    g_autofree char *seal = seal_path(id);
    g_autoptr(Json) json = NULL;
    struct stat status;

    if (fstat(fd, &status) < 0 || !json_read(seal, MAX_SEAL, &json, NULL) || json == NULL ||
        g_strcmp0(json_get_text(json, "path"), path) != 0)
        return SEAL_NONE;
    return json_get_number(json, "size", -1) == (int64_t)status.st_size &&
                   json_get_number(json, "changed_ns", -1) == changed_ns(&status)
               ? SEAL_INTACT
               : SEAL_BROKEN;
}

void
seal_touch(const char *id)
{
    g_autofree char *seal = seal_path(id);

    utimensat(AT_FDCWD, seal, NULL, 0);
}

int64_t
seal_last_used(const char *id)
{
    g_autofree char *seal = seal_path(id);
    struct stat status;

    return stat(seal, &status) == 0 ? (int64_t)status.st_mtime : 0;
}

void
seal_forget(const char *id)
{
    g_autofree char *seal = seal_path(id);

    unlink(seal);
}
