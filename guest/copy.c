// SPDX-License-Identifier: Apache-2.0
/* Files from this host into a guest and back. */
#include "base/file.h"
#include "base/pool.h"
#include "guest/untar.h"
#include "guest/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    int fd; /* where the archive comes from; closed at the end, which ends who writes to it */
    int dir_fd;
    const char *base, *label;
    gint is_sent; /* atomic: the archive came to its end, good or bad */
    UntarCounts counts;
    bool is_ok, ended_sender;
    GError *error;
} Unpacking;

/* tar fills its last record with zeroes, which are no part of the archive. */
static void
read_to_end(int fd)
{
    char buffer[4096];
    ssize_t n;

    do
        n = read(fd, buffer, sizeof buffer);
    while (n > 0 || (n < 0 && errno == EINTR));
}

static void
unpack(void *data)
{
    Unpacking *unpacking = data;

    unpacking->is_ok = untar_beneath(unpacking->fd, unpacking->dir_fd, unpacking->base, unpacking->label,
                                     &unpacking->counts, &unpacking->error);
    if (unpacking->is_ok)
        read_to_end(unpacking->fd);
    unpacking->ended_sender = !unpacking->is_ok && g_atomic_int_get(&unpacking->is_sent) == 0;
    fd_close(unpacking->fd);
}

/* The guest's tar writes into a pipe, and a thread unpacks what comes out of it. */
static bool
copy_folder(GuestView *view, const char *path, int dir_fd, const char *base, unsigned *out_special,
            GError **error)
{
    Unpacking unpacking = {.dir_fd = dir_fd, .base = base, .label = view->label};
    g_autofree char *name = NULL;
    g_auto(Fd) in = -1;
    PoolQueue *queue;
    int ends[2];
    bool is_sent;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(error, "%s: cannot make a pipe", view->label);
    unpacking.fd = ends[0];
    in = ends[1];
    queue = pool_queue_new(1, error);
    if (queue == NULL) {
        fd_close(ends[0]);
        return false;
    }
    pool_queue_push(queue, unpack, &unpacking);
    name = g_strdup_printf("/dev/fd/%d", in);
    is_sent = guestfs_tar_out_opts(view->g, path, name, GUESTFS_TAR_OUT_OPTS_NUMERICOWNER, 1, -1) != -1;
    g_atomic_int_set(&unpacking.is_sent, 1);
    fd_close(fd_steal(&in));
    pool_queue_free(queue);
    if (is_sent && unpacking.is_ok) {
        *out_special = unpacking.counts.n_special;
        return true;
    }
    if (!is_sent && !unpacking.ended_sender) {
        g_clear_error(&unpacking.error); /* half an archive */
        return view_fail(view, "copy out", path, error);
    }
    g_propagate_error(error, unpacking.error);
    return false;
}

static bool
copy_file(GuestView *view, const char *path, const char *local_dir, const char *base, GError **error)
{
    g_autofree char *target = g_build_filename(local_dir, base, NULL);
    g_autofree char *temporary = NULL;
    struct guestfs_statns *stat = guestfs_statns(view->g, path);
    unsigned mode = stat != NULL ? (unsigned)stat->st_mode & 0777 : 0;
    g_auto(Fd) fd = -1;
    mode_t mask;

    if (stat == NULL)
        return view_fail(view, "copy out", path, error);
    guestfs_free_statns(stat);
    mask = umask(0);
    umask(mask);
    fd = file_open_temporary(local_dir, &temporary, error);
    if (fd < 0)
        return false;
    if (!guest_view_read(view, path, fd, target, error)) {
        unlink(temporary);
        return false;
    }
    if (fchmod(fd, mode & ~mask) == 0 && rename(temporary, target) == 0)
        return true;
    error_set_errno(error, "%s", target);
    unlink(temporary);
    return false;
}

bool
guest_view_copy_out(GuestView *view, const char *path, const char *local_dir, unsigned *out_special,
                    GError **error)
{
    g_autofree char *clean = g_canonicalize_filename(path, "/"); /* no name "..", whatever was asked for */
    g_autofree char *base = g_path_get_basename(clean);
    int is_folder = guestfs_is_dir_opts(view->g, path, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1);
    g_auto(Fd) dir = open(local_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return error_set_errno(error, "%s", local_dir);
    if (is_folder == -1)
        return view_fail(view, "copy out", path, error);
    *out_special = 0;
    if (is_folder == 0)
        return copy_file(view, path, local_dir, base, error);
    return copy_folder(view, path, dir, strcmp(base, "/") == 0 ? "." : base, out_special, error);
}

bool
guest_view_copy_in(GuestView *view, const char *local, const char *dir, GError **error)
{
    if (!view_check_writable(view, "copy in", error))
        return false;
    if (guestfs_copy_in(view->g, local, dir) == -1)
        return view_fail(view, "copy in", local, error);
    /* The appliance cannot label files: the guest does so at its next boot. */
    if (view->info != NULL && view->info->has_selinux && guestfs_touch(view->g, "/.autorelabel") == -1)
        return view_fail(view, "copy in", local, error);
    return true;
}
