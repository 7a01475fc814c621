// SPDX-License-Identifier: Apache-2.0
/*
 * Carries out the operations of a plan. A file that exists is written in place, so it keeps its mode, owner and
 * SELinux label; the edits themselves are text.c's.
 */
#include "guest/apply.h"

#include "base/interrupt.h"
#include "guest/text.h"

#include <string.h>

#define NEW_FILE_MODE 0644
#define SSH_LABEL "system_u:object_r:ssh_home_t:s0" /* sshd may not read the keys under another */
#define SECONDS_PER_DAY 86400

typedef struct {
    Appliance *g;
    const PlanOp *op;
    const Plan *plan;
    bool has_selinux;
    const char *label;
} Context;

static bool
fail(const Context *c, GError **error)
{
    return appliance_fail(c->g, c->label, c->op->what, error);
}

static bool
write_text(const Context *c, const char *path, const char *text, GError **error)
{
    int exists = guestfs_exists(c->g, path);

    if (exists == -1 || guestfs_write(c->g, path, text, strlen(text)) == -1)
        return fail(c, error);
    if (exists == 0 && guestfs_chmod(c->g, NEW_FILE_MODE, path) == -1)
        return fail(c, error);
    return true;
}

static bool
apply_replace(const Context *c, GError **error)
{
    int exists = guestfs_is_file_opts(c->g, c->op->path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);

    if (exists == -1)
        return fail(c, error);
    return exists == 0 || write_text(c, c->op->path, c->op->text, error);
}

static bool
apply_link(const Context *c, GError **error)
{
    int exists = guestfs_is_file(c->g, c->op->path);

    if (exists == -1 || (exists == 1 && guestfs_ln_sf(c->g, c->op->text, c->op->path) == -1))
        return fail(c, error);
    return true;
}

static bool
apply_enable(const Context *c, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(c->op->path);

    if (guestfs_mkdir_p(c->g, dir) == -1 || guestfs_ln_sf(c->g, c->op->text, c->op->path) == -1)
        return fail(c, error);
    return true;
}

static bool
apply_remove(const Context *c, GError **error)
{
    g_auto(GStrv) found =
        guestfs_glob_expand_opts(c->g, c->op->path, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);

    if (found == NULL)
        return fail(c, error);
    for (unsigned i = 0; found[i] != NULL; i++)
        if (guestfs_rm_rf(c->g, found[i]) == -1)
            return fail(c, error);
    return true;
}

static bool
apply_hosts_name(const Context *c, GError **error)
{
    g_autofree char *old = appliance_read(c->g, c->op->path, c->label, error);
    g_autofree char *new = old != NULL ? text_set_hosts_name(old, c->op->text, c->op->value) : NULL;

    return new != NULL && (strcmp(old, new) == 0 || write_text(c, c->op->path, new, error));
}

static bool
apply_variable(const Context *c, GError **error)
{
    g_autofree char *old = appliance_read(c->g, c->op->path, c->label, error);
    g_autofree char *new = old != NULL ? text_set_variable(old, c->op->text, c->op->value) : NULL;

    return new != NULL &&write_text(c, c->op->path, new, error);
}

static bool
apply_password(const Context *c, GError **error)
{
    g_autofree char *old = appliance_read(c->g, c->op->path, c->label, error);
    g_autofree char *new = NULL;
    long today = (long)(g_get_real_time() / G_USEC_PER_SEC / SECONDS_PER_DAY);
    bool ok;

    if (old == NULL)
        return false;
    new = text_set_password(old, c->op->text, c->op->value, today);
    if (new == NULL)
        return error_set(error, "%s: cannot %s: %s in the guest has no line for '%s'", c->label, c->op->what,
                         c->op->path, c->op->text);
    ok = write_text(c, c->op->path, new, error);
    return ok;
}

static bool
set_owner(const Context *c, const char *path, int mode, const TextUser *user, GError **error)
{
    if (guestfs_chmod(c->g, mode, path) == -1 || guestfs_chown(c->g, user->uid, user->gid, path) == -1 ||
        (c->has_selinux &&
         guestfs_lsetxattr(c->g, "security.selinux", SSH_LABEL, (int)strlen(SSH_LABEL) + 1, path) == -1))
        return fail(c, error);
    return true;
}

static bool
apply_ssh_keys(const Context *c, GError **error)
{
    g_auto(TextUser) user = {0};
    g_autofree char *passwd = appliance_read(c->g, "/etc/passwd", c->label, error);
    g_autofree char *dir = NULL, *path = NULL, *old = NULL, *new = NULL;

    if (passwd == NULL)
        return false;
    if (!text_find_user(passwd, c->op->text, &user))
        return error_set(error, "%s: cannot %s: the guest has no user '%s'", c->label, c->op->what,
                         c->op->text);
    dir = g_build_filename(user.home, ".ssh", NULL);
    path = g_build_filename(dir, "authorized_keys", NULL);
    if (guestfs_mkdir_p(c->g, dir) == -1)
        return fail(c, error);
    old = appliance_read(c->g, path, c->label, error);
    if (old == NULL)
        return false;
    new = text_add_keys(old, c->plan->ssh_keys);
    return write_text(c, path, new, error) && set_owner(c, dir, 0700, &user, error) &&
           set_owner(c, path, 0600, &user, error);
}

static bool
apply_op(const Context *c, GError **error)
{
    switch (c->op->kind) {
    case PLAN_WRITE:
        return write_text(c, c->op->path, c->op->text, error);
    case PLAN_REPLACE:
        return apply_replace(c, error);
    case PLAN_LINK:
        return apply_link(c, error);
    case PLAN_ENABLE:
        return apply_enable(c, error);
    case PLAN_REMOVE:
        return apply_remove(c, error);
    case PLAN_HOSTS_NAME:
        return apply_hosts_name(c, error);
    case PLAN_SET_VARIABLE:
        return apply_variable(c, error);
    case PLAN_SSH_KEYS:
        return apply_ssh_keys(c, error);
    case PLAN_PASSWORD:
        return apply_password(c, error);
    }
    g_assert_not_reached();
}

bool
apply_plan(Appliance *appliance, const Plan *plan, bool has_selinux, const char *label, GError **error)
{
    for (unsigned i = 0; i < plan->ops->len; i++) {
        const Context c = {appliance, plan->ops->pdata[i], plan, has_selinux, label};

        if (!interrupt_check(error) || !apply_op(&c, error))
            return false;
    }
    return true;
}
