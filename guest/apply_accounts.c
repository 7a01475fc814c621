// SPDX-License-Identifier: Apache-2.0
/* Operations on the host's name, users, their passwords and keys. */
#include "guest/apply.h"

#include "guest/text.h"

#include <string.h>

#define SSH_LABEL "system_u:object_r:ssh_home_t:s0" /* sshd may not read the keys under another */
#define SECONDS_PER_DAY 86400

bool
apply_hosts_name(const ApplyContext *c, GError **error)
{
    g_autofree char *old = appliance_read(c->g, c->op->path, c->label, error);
    g_autofree char *new = old != NULL ? text_set_hosts_name(old, c->op->text, c->op->value) : NULL;

    return new != NULL && (strcmp(old, new) == 0 || apply_write_text(c, c->op->path, new, error));
}

bool
apply_password(const ApplyContext *c, GError **error)
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
    ok = apply_write_text(c, c->op->path, new, error);
    return ok;
}

static bool
set_owner(const ApplyContext *c, const char *path, int mode, const TextUser *user, GError **error)
{
    if (guestfs_chmod(c->g, mode, path) == -1 || guestfs_chown(c->g, user->uid, user->gid, path) == -1 ||
        (c->has_selinux &&
         guestfs_lsetxattr(c->g, "security.selinux", SSH_LABEL, (int)strlen(SSH_LABEL) + 1, path) == -1))
        return apply_fail(c, error);
    return true;
}

bool
apply_ssh_keys(const ApplyContext *c, GError **error)
{
    g_auto(TextUser) user = {0};
    g_autofree char *passwd = appliance_read(c->g, "/etc/passwd", c->label, error);
    g_autofree char *dir = NULL, *path = NULL, *old = NULL, *new = NULL;
    g_auto(GStrv) keys = NULL;

    if (passwd == NULL)
        return false;
    if (!text_find_user(passwd, c->op->text, &user))
        return error_set(error, "%s: cannot %s: the guest has no user '%s'", c->label, c->op->what,
                         c->op->text);
    dir = g_build_filename(user.home, ".ssh", NULL);
    path = g_build_filename(dir, "authorized_keys", NULL);
    if (guestfs_mkdir_p(c->g, dir) == -1)
        return apply_fail(c, error);
    old = appliance_read(c->g, path, c->label, error);
    if (old == NULL)
        return false;
    keys = g_strsplit(c->op->value, "\n", -1);
    new = text_add_keys(old, (const char *const *)keys);
    return apply_write_text(c, path, new, error) && set_owner(c, dir, 0700, &user, error) &&
           set_owner(c, path, 0600, &user, error);
}
