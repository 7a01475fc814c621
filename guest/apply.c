// SPDX-License-Identifier: Apache-2.0
/* Carries out a plan: each kind of operation has its function in apply_*.c. */
#include "guest/apply.h"

#include "base/interrupt.h"

#include <string.h>

#define NEW_FILE_MODE 0644

static bool (*const APPLY[])(const ApplyContext *c, GError **error) = {
    [PLAN_WRITE] = apply_write,
    [PLAN_REPLACE] = apply_replace,
    [PLAN_LINK] = apply_link,
    [PLAN_ENABLE] = apply_enable,
    [PLAN_REMOVE] = apply_remove,
    [PLAN_HOSTS_NAME] = apply_hosts_name,
    [PLAN_SET_VARIABLE] = apply_variable,
    [PLAN_SSH_KEYS] = apply_ssh_keys,
    [PLAN_PASSWORD] = apply_password,
    [PLAN_EXPECT] = apply_expect,
    [PLAN_SYMLINK] = apply_symlink,
    [PLAN_APPEND_LINE] = apply_append_line,
    [PLAN_CHMOD] = apply_chmod,
    [PLAN_CHOWN] = apply_chown,
    [PLAN_COPY] = apply_copy,
    [PLAN_COPY_IN] = apply_copy_in,
    [PLAN_COPY_OUT] = apply_copy_out,
    [PLAN_DELETE] = apply_delete,
    [PLAN_EDIT] = apply_edit,
    [PLAN_MKDIR] = apply_mkdir,
    [PLAN_MOVE] = apply_move,
    [PLAN_SCRUB] = apply_scrub,
    [PLAN_TAR_IN] = apply_tar_in,
    [PLAN_TOUCH] = apply_touch,
    [PLAN_TRUNCATE] = apply_truncate,
    [PLAN_TRUNCATE_ALL] = apply_truncate_all,
    [PLAN_UPLOAD] = apply_upload,
    [PLAN_RUN] = apply_run,
    [PLAN_FIRSTBOOT] = apply_firstboot,
};

bool
apply_fail(const ApplyContext *c, GError **error)
{
    g_autofree char *what =
        c->op->path != NULL ? g_strdup_printf("%s: %s", c->op->what, c->op->path) : g_strdup(c->op->what);

    return appliance_fail(c->g, c->label, what, error);
}

bool
apply_done(const ApplyContext *c, int rc, GError **error)
{
    return rc != -1 || apply_fail(c, error);
}

bool
apply_write_text(const ApplyContext *c, const char *path, const char *text, GError **error)
{
    int exists = guestfs_exists(c->g, path);

    if (exists == -1 || guestfs_write(c->g, path, text, strlen(text)) == -1)
        return apply_fail(c, error);
    return exists == 1 || apply_done(c, guestfs_chmod(c->g, NEW_FILE_MODE, path), error);
}

bool
apply_plan(Appliance *appliance, const Plan *plan, bool has_selinux, const char *label, GError **error)
{
    for (unsigned i = 0; i < plan->ops->len; i++) {
        const PlanOp *op = plan->ops->pdata[i];
        const ApplyContext c = {appliance, op, has_selinux, label};

        if (!interrupt_check(error) || !APPLY[op->kind](&c, error) ||
            (has_selinux && !apply_label_new(&c, error)))
            return false;
    }
    return true;
}
