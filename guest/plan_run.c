// SPDX-License-Identifier: Apache-2.0
/* Turns operations that run something into scripts: now in the appliance, or at the guest's first boot. */
#include "guest/plan.h"

#include "guest/packages.h"

#include <string.h>

#define TITLE_MAX 60 /* of a command, in messages and names */

static bool
add_packages(Plan *plan, PlanKind kind, const GuestOp *op, PackagesAction action, const GuestInfo *info,
             GError **error)
{
    g_autofree char *script =
        packages_script(info->package_manager, action, op->items, kind == PLAN_FIRSTBOOT, error);
    g_autofree char *names = op->items != NULL ? g_strjoinv(",", op->items) : NULL;
    g_autofree char *title = kind == PLAN_FIRSTBOOT ? g_strconcat("install ", names, NULL) : g_strdup(names);

    if (script == NULL) {
        g_prefix_error(error, "cannot %s: ", op->row->what);
        return false;
    }
    plan_add(plan, kind, op->row->what, NULL, script, title != NULL ? title : info->package_manager);
    return true;
}

static void
add_command(Plan *plan, PlanKind kind, const GuestOp *op)
{
    g_autofree char *script = g_strdup_printf("#!/bin/sh\n%s\n", op->first);
    g_autofree char *title =
        g_strdup_printf("%.*s%s", TITLE_MAX, op->first, strlen(op->first) > TITLE_MAX ? "..." : "");

    plan_add(plan, kind, op->row->what, NULL, script, title);
}

static void
add_script(Plan *plan, PlanKind kind, const GuestOp *op)
{
    g_autofree char *name = g_path_get_basename(op->first);

    plan_add(plan, kind, op->row->what, NULL, op->content, name);
}

bool
plan_run(Plan *plan, const GuestOp *op, const GuestInfo *info, GError **error)
{
    switch (op->row->kind) {
    case OP_FIRSTBOOT:
        add_script(plan, PLAN_FIRSTBOOT, op);
        return true;
    case OP_FIRSTBOOT_COMMAND:
        add_command(plan, PLAN_FIRSTBOOT, op);
        return true;
    case OP_FIRSTBOOT_INSTALL:
        return add_packages(plan, PLAN_FIRSTBOOT, op, PACKAGES_INSTALL, info, error);
    case OP_INSTALL:
        return add_packages(plan, PLAN_RUN, op, PACKAGES_INSTALL, info, error);
    case OP_RUN:
        add_script(plan, PLAN_RUN, op);
        return true;
    case OP_RUN_COMMAND:
        add_command(plan, PLAN_RUN, op);
        return true;
    case OP_UNINSTALL:
        return add_packages(plan, PLAN_RUN, op, PACKAGES_UNINSTALL, info, error);
    case OP_UPDATE:
        return add_packages(plan, PLAN_RUN, op, PACKAGES_UPDATE, info, error);
    default:
        g_assert_not_reached();
    }
}

bool
plan_runs_now(const GuestOps *ops)
{
    for (unsigned i = 0; !guest_ops_is_empty(ops) && i < ops->ops->len; i++) {
        const GuestOp *op = ops->ops->pdata[i];

        if (op->row->kind == OP_INSTALL || op->row->kind == OP_RUN || op->row->kind == OP_RUN_COMMAND ||
            op->row->kind == OP_UNINSTALL || op->row->kind == OP_UPDATE)
            return true;
    }
    return false;
}
