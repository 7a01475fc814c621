// SPDX-License-Identifier: Apache-2.0
/* Carries out a plan on the guest that is mounted in the appliance. */
#pragma once

#include "guest/appliance.h"
#include "guest/plan.h"

/** apply_plan: every operation in order; the first failure ends it. @has_selinux: label what is new. */
bool apply_plan(Appliance *appliance, const Plan *plan, bool has_selinux, const char *label, GError **error);

/* ---- for apply_*.c ---- */

/** ApplyContext: the operation at hand. */
typedef struct {
    Appliance *g;
    const PlanOp *op;
    bool has_selinux;
    const char *label;
} ApplyContext;

/** apply_fail: appliance_fail() with the name of the operation. */
bool apply_fail(const ApplyContext *c, GError **error);

/** apply_done: whether a libguestfs call that returned @rc did its work; else apply_fail(). */
bool apply_done(const ApplyContext *c, int rc, GError **error);

/** apply_write_text: a file that exists keeps its mode, owner and SELinux label; a new one gets 0644. */
bool apply_write_text(const ApplyContext *c, const char *path, const char *text, GError **error);

/**
 * apply_label: where the guest has SELinux, give @path, and the folders above it, the labels that label.h knows for them if they
 * have none. What label.h does not know is left to apply_autorelabel().
 */
bool apply_label(const ApplyContext *c, const char *path, GError **error);

/** apply_label_new: the same for what the operation at hand, now done, may have made. */
bool apply_label_new(const ApplyContext *c, GError **error);

/** apply_autorelabel: the guest labels all its files when it boots the next time. */
bool apply_autorelabel(const ApplyContext *c, GError **error);

/* apply_files.c: one operation on files of the guest */
bool apply_write(const ApplyContext *c, GError **error);
bool apply_replace(const ApplyContext *c, GError **error);
bool apply_link(const ApplyContext *c, GError **error);
bool apply_enable(const ApplyContext *c, GError **error);
bool apply_remove(const ApplyContext *c, GError **error);
bool apply_variable(const ApplyContext *c, GError **error);
bool apply_expect(const ApplyContext *c, GError **error);
bool apply_symlink(const ApplyContext *c, GError **error);
bool apply_append_line(const ApplyContext *c, GError **error);
bool apply_chmod(const ApplyContext *c, GError **error);
bool apply_chown(const ApplyContext *c, GError **error);
bool apply_copy(const ApplyContext *c, GError **error);
bool apply_delete(const ApplyContext *c, GError **error);
bool apply_edit(const ApplyContext *c, GError **error);
bool apply_mkdir(const ApplyContext *c, GError **error);
bool apply_move(const ApplyContext *c, GError **error);
bool apply_scrub(const ApplyContext *c, GError **error);
bool apply_touch(const ApplyContext *c, GError **error);
bool apply_truncate(const ApplyContext *c, GError **error);
bool apply_truncate_all(const ApplyContext *c, GError **error);

/* apply_host.c: one operation on files of the guest and of this host */
bool apply_copy_in(const ApplyContext *c, GError **error);
bool apply_copy_out(const ApplyContext *c, GError **error);
bool apply_tar_in(const ApplyContext *c, GError **error);
bool apply_upload(const ApplyContext *c, GError **error);

/* apply_accounts.c: names and accounts */
bool apply_hosts_name(const ApplyContext *c, GError **error);
bool apply_password(const ApplyContext *c, GError **error);
bool apply_ssh_keys(const ApplyContext *c, GError **error);

/* apply_run.c, apply_firstboot.c: programs of the guest, now or when it boots */
bool apply_run(const ApplyContext *c, GError **error);
bool apply_firstboot(const ApplyContext *c, GError **error);
