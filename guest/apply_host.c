// SPDX-License-Identifier: Apache-2.0
/* Operations between the guest and this host. */
#include "guest/apply.h"

#include "base/fd.h"
#include "base/pool.h"
#include "guest/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERMISSIONS 07777

bool
apply_copy_in(const ApplyContext *c, GError **error)
{
    g_autofree char *path = g_canonicalize_filename(c->op->text, NULL);

    return apply_done(c, guestfs_copy_in(c->g, path, c->op->path), error);
}

bool
apply_copy_out(const ApplyContext *c, GError **error)
{
    g_autofree char *path = g_canonicalize_filename(c->op->text, NULL);

    return apply_done(c, guestfs_copy_out(c->g, c->op->path, path), error);
}

/* libguestfs says no more than "write error". */
static bool
upload_failed(const ApplyContext *c, const char *to, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(to);
    g_autoptr(GError) problem = NULL;
    struct guestfs_statvfs *status;
    bool is_full;

    apply_fail(c, &problem);
    status = guestfs_statvfs(c->g, folder);
    is_full = status != NULL && status->bavail == 0;
    if (status != NULL)
        guestfs_free_statvfs(status);
    if (is_full)
        return error_set(error, "%s: the file system is full", problem->message);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* The permissions and the owner are those of this host's file. File systems without owners (vfat) are no error. */
bool
apply_upload(const ApplyContext *c, GError **error)
{
    g_autofree char *from = g_canonicalize_filename(c->op->text, NULL);
    g_autofree char *name = g_path_get_basename(from);
    g_autofree char *to = NULL;
    struct stat status;
    int is_dir = guestfs_is_dir_opts(c->g, c->op->path, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1);

    if (stat(from, &status) < 0)
        return error_set_errno(error, "%s", from);
    to = is_dir == 1 ? g_build_filename(c->op->path, name, NULL) : g_strdup(c->op->path);
    if (is_dir == -1)
        return apply_fail(c, error);
    if (guestfs_upload(c->g, from, to) == -1)
        return upload_failed(c, to, error);
    if (guestfs_chown(c->g, (int)status.st_uid, (int)status.st_gid, to) == -1)
        return guestfs_last_errno(c->g) == EPERM || apply_fail(c, error);
    return apply_done(c, guestfs_chmod(c->g, (int)(status.st_mode & PERMISSIONS), to), error);
}

/* ---- archives ---- */

typedef struct {
    const char *path;
    int fd; /* closed when all is written */
    GError *error;
} Feed;

static void
feed(void *data)
{
    Feed *job = data;

    unpack_stream(job->path, job->fd, &job->error);
    close(job->fd);
}

/* The archive is decompressed here, by a thread, while the appliance's tar reads it from the pipe. */
bool
apply_tar_in(const ApplyContext *c, GError **error)
{
    g_autoptr(GError) tar_error = NULL;
    Feed job = {.path = c->op->text};
    PoolQueue *queue;
    g_autofree char *path = NULL;
    bool is_ok;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(error, "cannot make a pipe");
    queue = pool_queue_new(1, error);
    if (queue == NULL) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    job.fd = ends[1];
    path = g_strdup_printf("/dev/fd/%d", ends[0]);
    pool_queue_push(queue, feed, &job);
    is_ok = apply_done(c, guestfs_tar_in(c->g, path, c->op->path), &tar_error);
    close(ends[0]); /* a tar that failed leaves the rest: the thread then sees that nobody reads */
    pool_queue_free(queue);
    if (is_ok && job.error == NULL)
        return true;
    /* Who fails first makes the other fail: a broken pipe is never the cause. */
    if (job.error != NULL && (is_ok || !g_error_matches(job.error, BASE_ERROR, BASE_ERROR_UNAVAILABLE))) {
        g_propagate_prefixed_error(error, job.error, "%s: cannot %s: ", c->label, c->op->what);
        return false;
    }
    g_clear_error(&job.error);
    g_propagate_error(error, g_steal_pointer(&tar_error));
    return false;
}
