// SPDX-License-Identifier: Apache-2.0
/* Turns virt-customize's operations on files and accounts into operations on the files of the guest at hand. */
#include "guest/plan.h"

#include "guest/password.h"

#include <string.h>

#define ZONES "/usr/share/zoneinfo/"
#define NO_PASSWORD "*" /* crypt(5): matches no password */

static void
plan_permissions(Plan *plan, const GuestOp *op)
{
    plan_add(plan, PLAN_CHMOD, op->row->what, op->second, NULL, NULL)->number[0] = op->number[0];
}

static void
plan_owner(Plan *plan, const GuestOp *op)
{
    PlanOp *planned = plan_add(plan, PLAN_CHOWN, op->row->what, op->items[0], NULL, NULL);

    planned->number[0] = op->number[0];
    planned->number[1] = op->number[1];
}

static void
plan_links(Plan *plan, const GuestOp *op)
{
    for (unsigned i = 0; op->items[i] != NULL; i++)
        plan_add(plan, PLAN_SYMLINK, op->row->what, op->items[i], op->first, NULL);
}

static void
plan_no_cloud_init(Plan *plan, const GuestOp *op)
{
    plan_add(plan, PLAN_MKDIR, op->row->what, "/etc/cloud", NULL, NULL);
    plan_add(plan, PLAN_WRITE, op->row->what, "/etc/cloud/cloud-init.disabled", "", NULL);
}

static void
plan_drop_host_keys(Plan *plan, const GuestOp *op, const GuestInfo *info)
{
    plan_add(plan, PLAN_REMOVE, op->row->what, "/etc/ssh/ssh_host_*", NULL, NULL);
    plan_new_host_keys(plan, op->row->what, info);
}

/* systemd knows the one file; Debian's console-setup, which makes that one from its own, the other. */
static void
plan_keyboard(Plan *plan, const GuestOp *op, const GuestInfo *info)
{
    g_autofree char *quoted = g_strdup_printf("\"%s\"", op->first);

    if (plan_family(info) == FAMILY_DEBIAN)
        plan_add(plan, PLAN_SET_VARIABLE, op->row->what, "/etc/default/keyboard", "XKBLAYOUT", quoted);
    else
        plan_add(plan, PLAN_SET_VARIABLE, op->row->what, "/etc/vconsole.conf", "KEYMAP", quoted);
}

static void
plan_timezone(Plan *plan, const GuestOp *op, const GuestInfo *info)
{
    g_autofree char *zone = g_strconcat(ZONES, op->first, NULL);
    g_autofree char *target = g_strconcat("..", zone, NULL);
    g_autofree char *line = g_strconcat(op->first, "\n", NULL);

    plan_add(plan, PLAN_EXPECT, op->row->what, zone, NULL, NULL);
    plan_add(plan, PLAN_SYMLINK, op->row->what, "/etc/localtime", target, NULL);
    if (plan_family(info) == FAMILY_DEBIAN)
        plan_add(plan, PLAN_WRITE, op->row->what, "/etc/timezone", line, NULL);
    else /* others have it at most from somebody who keeps it */
        plan_add(plan, PLAN_REPLACE, op->row->what, "/etc/timezone", line, NULL);
}

static void
tell_random(Plan *plan, const char *user, const char *password)
{
    PlanPassword *made = g_new0(PlanPassword, 1);

    made->user = g_strdup(user);
    made->password = g_strdup(password);
    g_ptr_array_add(plan->passwords, made);
}

static bool
plan_account(Plan *plan, const GuestOp *op, const GuestInfo *info, GError **error)
{
    const char *user = op->row->kind == OP_ROOT_PASSWORD ? "root" : op->first;
    g_autofree char *random = op->password == OP_PASSWORD_RANDOM ? password_random() : NULL;
    const char *password = random != NULL ? random : op->content;
    g_autofree char *hash = NULL, *value = NULL;

    if (random != NULL)
        tell_random(plan, user, random);
    hash = op->password == OP_PASSWORD_DISABLED
               ? g_strdup(NO_PASSWORD)
               : password_hash(password, password_scheme(info->distro, info->major), error);
    if (hash == NULL)
        return false;
    /* One "!", as usermod -L writes it: one usermod -U takes it away again. */
    value = g_strconcat(op->is_locked ? "!" : "", hash, NULL);
    plan_add(plan, PLAN_PASSWORD, op->row->what, "/etc/shadow", user, value);
    return true;
}

/* Operations that mean one thing to every guest. */
static const struct {
    OpKind op;
    PlanKind kind;
    bool is_from_host; /* the first part of the argument names something of this host */
} PLAIN[] = {
    {OP_APPEND_LINE, PLAN_APPEND_LINE, false},
    {OP_COPY, PLAN_COPY, false},
    {OP_COPY_IN, PLAN_COPY_IN, true},
    {OP_COPY_OUT, PLAN_COPY_OUT, false},
    {OP_DELETE, PLAN_DELETE, false},
    {OP_EDIT, PLAN_EDIT, false},
    {OP_MKDIR, PLAN_MKDIR, false},
    {OP_MOVE, PLAN_MOVE, false},
    {OP_SCRUB, PLAN_SCRUB, false},
    {OP_TAR_IN, PLAN_TAR_IN, true},
    {OP_TOUCH, PLAN_TOUCH, false},
    {OP_TRUNCATE, PLAN_TRUNCATE, false},
    {OP_TRUNCATE_RECURSIVE, PLAN_TRUNCATE_ALL, false},
    {OP_UPLOAD, PLAN_UPLOAD, true},
    {OP_WRITE, PLAN_WRITE, false},
};

static void
plan_plain(Plan *plan, const GuestOp *op)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(PLAIN); i++) {
        if (PLAIN[i].op != op->row->kind)
            continue;
        plan_add(plan, PLAIN[i].kind, op->row->what, PLAIN[i].is_from_host ? op->second : op->first,
                 PLAIN[i].is_from_host ? op->first : op->second, NULL);
        return;
    }
    g_assert_not_reached();
}

static bool
plan_one(Plan *plan, const GuestOp *op, const GuestInfo *info, GError **error)
{
    switch (op->row->kind) {
    case OP_CHMOD:
        plan_permissions(plan, op);
        return true;
    case OP_CHOWN:
        plan_owner(plan, op);
        return true;
    case OP_DISABLE_CLOUD_INIT:
        plan_no_cloud_init(plan, op);
        return true;
    case OP_DROP_HOST_KEYS:
        plan_drop_host_keys(plan, op, info);
        return true;
    case OP_FIRSTBOOT:
    case OP_FIRSTBOOT_COMMAND:
    case OP_FIRSTBOOT_INSTALL:
    case OP_INSTALL:
    case OP_RUN:
    case OP_RUN_COMMAND:
    case OP_UNINSTALL:
    case OP_UPDATE:
        return plan_run(plan, op, info, error);
    case OP_HOSTNAME:
        plan_hostname(plan, op->first, info);
        return true;
    case OP_KEYBOARD:
        plan_keyboard(plan, op, info);
        return true;
    case OP_LINK:
        plan_links(plan, op);
        return true;
    case OP_SSH_INJECT:
        plan_ssh_keys(plan, op->first, op->content);
        return true;
    case OP_TIMEZONE:
        plan_timezone(plan, op, info);
        return true;
    default:
        plan_plain(plan, op);
        return true;
    }
}

static bool
is_password(const GuestOp *op)
{
    return op->row->kind == OP_PASSWORD || op->row->kind == OP_ROOT_PASSWORD;
}

bool
plan_ops(Plan *plan, const GuestOps *ops, const GuestInfo *info, GError **error)
{
    for (unsigned i = 0; i < ops->ops->len; i++)
        if (!is_password(ops->ops->pdata[i]) && !plan_one(plan, ops->ops->pdata[i], info, error))
            return false;
    /* As virt-customize has it: packages may make the users whose passwords are set. */
    for (unsigned i = 0; i < ops->ops->len; i++)
        if (is_password(ops->ops->pdata[i]) && !plan_account(plan, ops->ops->pdata[i], info, error))
            return false;
    return true;
}
