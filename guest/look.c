// SPDX-License-Identifier: Apache-2.0
/* What is in a guest: its files by name, with their attributes, and their contents. */
#include "base/fd.h"
#include "base/interrupt.h"
#include "guest/apply.h"
#include "guest/plan.h"
#include "guest/view.h"

#include <string.h>

#define READ_BYTES (1 << 20) /* of a file, in one message: the protocol's limit is 4 MiB */

static void
file_free(GuestFile *file)
{
    g_free(file->name);
    g_free(file->link);
    g_free(file);
}

/* (transfer full) (nullable) sorted names below the folder @path */
static char **
list_names(GuestView *view, const char *path, bool is_recursive, GError **error)
{
    char **names = is_recursive ? guestfs_find(view->g, path) : guestfs_ls(view->g, path);

    if (names == NULL)
        view_fail(view, "list", path, error);
    return names;
}

static bool
add_details(GuestView *view, const char *path, char *const *names, GPtrArray *files, GError **error)
{
    struct guestfs_statns_list *stats = guestfs_lstatnslist(view->g, path, names);
    g_auto(GStrv) links = stats != NULL ? guestfs_readlinklist(view->g, path, names) : NULL;
    bool is_ok = links != NULL && stats->len == files->len && g_strv_length(links) == files->len;

    for (guint i = 0; is_ok && i < files->len; i++) {
        const struct guestfs_statns *stat = &stats->val[i];
        GuestFile *file = files->pdata[i];

        if (stat->st_ino == -1) /* gone, or cannot be looked at */
            continue;
        file->mode = (unsigned)stat->st_mode;
        file->n_links = stat->st_nlink;
        file->uid = stat->st_uid;
        file->gid = stat->st_gid;
        file->size = stat->st_size;
        file->mtime = stat->st_mtime_sec;
        file->link = links[i][0] != '\0' ? g_strdup(links[i]) : NULL;
    }
    if (stats != NULL)
        guestfs_free_statns_list(stats);
    return is_ok || view_fail(view, "look at the files in", path, error);
}

GPtrArray *
guest_view_list(GuestView *view, const char *path, bool is_recursive, bool has_details, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)file_free);
    g_auto(GStrv) names = list_names(view, path, is_recursive, error);

    if (names == NULL)
        return NULL;
    for (unsigned i = 0; names[i] != NULL; i++) {
        GuestFile *file = g_new0(GuestFile, 1);

        file->name = g_strdup(names[i]);
        g_ptr_array_add(files, file);
    }
    if (has_details && files->len > 0 && !add_details(view, path, names, files, error))
        return NULL;
    return g_steal_pointer(&files);
}

bool
guest_view_read(GuestView *view, const char *path, int fd, const char *name, GError **error)
{
    /* Reading a FIFO would never end. */
    int is_file = guestfs_is_file_opts(view->g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);
    size_t size = 1;

    if (is_file == -1)
        return view_fail(view, "read", path, error);
    if (is_file == 0)
        return error_set_code(error, BASE_ERROR_NOT_FOUND, "%s: there is no regular file %s in the guest",
                              view->label, path);
    for (int64_t at = 0; size > 0; at += (int64_t)size) {
        g_autofree char *data = guestfs_pread(view->g, path, READ_BYTES, at, &size);

        if (data == NULL)
            return view_fail(view, "read", path, error);
        if (!interrupt_check(error) || !fd_write_all(fd, data, size, name, error))
            return false;
    }
    return true;
}

bool
guest_view_replace(GuestView *view, const char *path, const char *local, const char *backup, GError **error)
{
    g_autofree char *real = NULL, *random = g_uuid_string_random(), *temporary = NULL, *old = NULL;

    if (!view_check_writable(view, "edit", error))
        return false;
    real = guestfs_realpath(view->g, path); /* a symbolic link stays one */
    if (real == NULL)
        return view_fail(view, "edit", path, error);
    temporary = g_strconcat(real, ".", random, NULL);
    old = backup != NULL ? g_strconcat(real, backup, NULL) : NULL;
    if (guestfs_upload(view->g, local, temporary) == -1 ||
        guestfs_copy_attributes(view->g, real, temporary, GUESTFS_COPY_ATTRIBUTES_ALL, 1, -1) == -1 ||
        (old != NULL && guestfs_mv(view->g, real, old) == -1) || guestfs_mv(view->g, temporary, real) == -1)
        return view_fail(view, "edit", path, error);
    return true;
}

bool
guest_view_apply(GuestView *view, const GuestOps *ops, GError **error)
{
    const GuestEdit edit = {.label = view->label, .ops = ops};
    const GuestInfo unknown = {.type = (char *)"linux"};
    const GuestInfo *info = view->info != NULL ? view->info : &unknown;
    g_autoptr(Plan) plan = NULL;

    if (!view_check_writable(view, "edit", error))
        return false;
    plan = plan_make(&edit, info, error);
    return plan != NULL && apply_plan(view->g, plan, info->has_selinux, view->label, error);
}

bool
guest_view_run(GuestView *view, const char *command, char **out_text, GError **error)
{
    char *text = guestfs_sh(view->g, command);

    if (text == NULL)
        return view_fail(view, "run", command, error);
    *out_text = text;
    return true;
}
