// SPDX-License-Identifier: Apache-2.0
/* SELinux: what the appliance writes has no label, because its own kernel runs without; a guest would not let its daemons read it. */
#include "guest/apply.h"

#include "guest/label.h"

#include <errno.h>
#include <string.h>

#define LABEL "security.selinux"

bool
apply_autorelabel(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_touch(c->g, "/.autorelabel"), error);
}

/* 1: yes, 0: no, -1: cannot say */
static int
is_labelled(const ApplyContext *c, const char *path)
{
    size_t size;
    g_autofree char *label = guestfs_lgetxattr(c->g, path, LABEL, &size);

    if (label != NULL)
        return 1;
    return guestfs_last_errno(c->g) == ENODATA ? 0 : -1;
}

bool
apply_label(const ApplyContext *c, const char *path, GError **error)
{
    g_autofree char *above = g_path_get_dirname(path);
    g_autofree char *label = NULL;
    int found = c->has_selinux && strcmp(path, above) != 0 ? is_labelled(c, path) : 1;

    if (found == 1)
        return true;
    label = label_of_path(path);
    if (found == -1 ||
        label == NULL) /* a file system without labels, or a place that only the guest's policy knows */
        return apply_autorelabel(c, error);
    return apply_done(c, guestfs_lsetxattr(c->g, LABEL, label, (int)strlen(label) + 1, path), error) &&
           apply_label(c, above, error);
}

bool
apply_label_new(const ApplyContext *c, GError **error)
{
    g_autofree char *name = NULL, *inside = NULL;

    switch (c->op->kind) {
    case PLAN_WRITE:
    case PLAN_LINK:
    case PLAN_ENABLE:
    case PLAN_HOSTS_NAME:
    case PLAN_SET_VARIABLE:
    case PLAN_SYMLINK:
    case PLAN_APPEND_LINE:
    case PLAN_MKDIR:
    case PLAN_TOUCH:
        return apply_label(c, c->op->path, error);
    case PLAN_UPLOAD: /* to a file or into a folder */
        name = g_path_get_basename(c->op->text);
        inside = g_build_filename(c->op->path, name, NULL);
        return guestfs_is_dir_opts(c->g, c->op->path, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1) == 1
                   ? apply_label(c, inside, error)
                   : apply_label(c, c->op->path, error);
    case PLAN_COPY: /* any number of files, which may have come with the labels of another place */
    case PLAN_COPY_IN:
    case PLAN_MOVE:
    case PLAN_RUN:
    case PLAN_TAR_IN:
        return apply_autorelabel(c, error);
    default:
        return true;
    }
}
