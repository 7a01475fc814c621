// SPDX-License-Identifier: Apache-2.0
/*
 * Turns a GuestEdit into operations on files, for the distribution at hand. Which file holds the host name, what of
 * an identity is to go, and who makes new SSH host keys is decided here and nowhere else.
 */
#include "guest/plan.h"

#include "guest/check.h"
#include "guest/password.h"
#include "guest/seal_plan.h"

#include <string.h>

#define KEYS_UNIT "virt-depot-ssh-keys.service"

/*
 * Debian and its kin make SSH host keys when the package is installed and never again. This unit does no more than
 * to make the missing ones; ordinary boots skip it.
 */
static const char KEYS_UNIT_TEXT[] = "[Unit]\n"
                                     "Description=Make the SSH host keys that are missing\n"
                                     "Before=ssh.service\n"
                                     "ConditionPathExists=/usr/bin/ssh-keygen\n"
                                     "ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\n"
                                     "\n"
                                     "[Service]\n"
                                     "Type=oneshot\n"
                                     "RemainAfterExit=yes\n"
                                     "ExecStart=/usr/bin/ssh-keygen -A\n"
                                     "\n"
                                     "[Install]\n"
                                     "WantedBy=multi-user.target\n";

/* Secrets and memories that two clones must not share, as sealing removes them, too. */
static const char IDENTITY[] = "dhcp-client-state,network-state,random-seed,ssh-hostkeys";

static void
op_free(PlanOp *op)
{
    g_free(op->path);
    g_free(op->text);
    g_free(op->value);
    g_free(op);
}

static void
password_free(PlanPassword *password)
{
    g_free(password->user);
    g_free(password->password);
    g_free(password);
}

Plan *
plan_new(void)
{
    Plan *plan = g_new0(Plan, 1);

    plan->ops = g_ptr_array_new_with_free_func((GDestroyNotify)op_free);
    plan->passwords = g_ptr_array_new_with_free_func((GDestroyNotify)password_free);
    return plan;
}

void
plan_free(Plan *plan)
{
    if (plan == NULL)
        return;
    g_ptr_array_unref(plan->passwords);
    g_ptr_array_unref(plan->ops);
    g_free(plan);
}

PlanOp *
plan_add(Plan *plan, PlanKind kind, const char *what, const char *path, const char *text, const char *value)
{
    PlanOp *op = g_new0(PlanOp, 1);

    op->kind = kind;
    op->what = what;
    op->path = g_strdup(path);
    op->text = g_strdup(text);
    op->value = g_strdup(value);
    g_ptr_array_add(plan->ops, op);
    return op;
}

PlanFamily
plan_family(const GuestInfo *info)
{
    static const char *const DEBIAN[] = {"debian",    "ubuntu", "linuxmint", "devuan",
                                         "kalilinux", "kali",   NULL};
    static const char *const REDHAT[] = {"rhel", "centos", "scientificlinux", "oraclelinux", "ol", NULL};
    const char *distro = info->distro != NULL ? info->distro : "";

    if (g_strv_contains(DEBIAN, distro))
        return FAMILY_DEBIAN;
    if (g_strv_contains(REDHAT, distro) && info->major > 0 && info->major < 7)
        return FAMILY_OLD_REDHAT;
    if (strstr(distro, "suse") != NULL || g_str_has_prefix(distro, "sle"))
        return FAMILY_SUSE;
    return FAMILY_OTHER;
}

bool
plan_check(const GuestEdit *edit, GError **error)
{
    const char *password = edit->root_password;

    if (edit->hostname != NULL && !check_hostname(edit->hostname, error))
        return false;
    if (edit->ssh_user != NULL && !check_user(edit->ssh_user, error))
        return false;
    for (unsigned i = 0; edit->ssh_keys != NULL && edit->ssh_keys[i] != NULL; i++)
        if (!check_key(edit->ssh_keys[i], error))
            return false;
    return password == NULL || check_password("root", password, error);
}

/* Never PRETTY_HOSTNAME in /etc/machine-info: it would outlive every later hostnamectl. */
void
plan_hostname(Plan *plan, const char *name, const GuestInfo *info)
{
    static const char what[] = "set the host name";
    g_autofree char *line = g_strdup_printf("%s\n", name);

    switch (plan_family(info)) {
    case FAMILY_OLD_REDHAT:
        plan_add(plan, PLAN_SET_VARIABLE, what, "/etc/sysconfig/network", "HOSTNAME", name);
        return;
    case FAMILY_SUSE:
        plan_add(plan, PLAN_WRITE, what, "/etc/hostname", line, NULL);
        plan_add(plan, PLAN_REPLACE, what, "/etc/HOSTNAME", line, NULL);
        return;
    case FAMILY_DEBIAN:
        plan_add(plan, PLAN_WRITE, what, "/etc/hostname", line, NULL);
        plan_add(plan, PLAN_HOSTS_NAME, what, "/etc/hosts", info->hostname, name);
        return;
    case FAMILY_OTHER:
        plan_add(plan, PLAN_WRITE, what, "/etc/hostname", line, NULL);
        return;
    }
}

void
plan_new_host_keys(Plan *plan, const char *what, const GuestInfo *info)
{
    static const char units[] = "/etc/systemd/system/";
    g_autofree char *unit = g_strconcat(units, KEYS_UNIT, NULL);
    g_autofree char *wanted = g_strconcat(units, "multi-user.target.wants/", KEYS_UNIT, NULL);

    if (plan_family(info) != FAMILY_DEBIAN || info->has_cloud_init)
        return;
    plan_add(plan, PLAN_ENABLE, what, wanted, unit, NULL); /* makes the folders, too */
    plan_add(plan, PLAN_WRITE, what, unit, KEYS_UNIT_TEXT, NULL);
}

/* One pattern, so that all of it costs one call. */
static char *
identity_glob(const GuestInfo *info)
{
    static const char *const NO_HOMES[] = {NULL};
    SealSet set = {0};
    bool is_known = seal_set_change(&set, IDENTITY, true, NULL);
    g_autoptr(GPtrArray) patterns = seal_patterns(&set, info, NO_HOMES, false);

    g_assert(is_known);
    return seal_glob(patterns);
}

void
plan_fresh_machine_id(Plan *plan, const char *what)
{
    /* Empty, not "uninitialized": that would be a "first boot", at which systemd-firstboot may ask questions. */
    plan_add(plan, PLAN_REPLACE, what, "/etc/machine-id", "", NULL);
    plan_add(plan, PLAN_LINK, what, "/var/lib/dbus/machine-id", "/etc/machine-id", NULL);
}

static void
plan_identity(Plan *plan, const GuestInfo *info)
{
    static const char what[] = "make the identity fresh";
    g_autofree char *glob = identity_glob(info);

    plan_add(plan, PLAN_REMOVE, what, glob, NULL, NULL);
    plan_fresh_machine_id(plan, what);
    plan_new_host_keys(plan, what, info);
}

bool
plan_password(Plan *plan, const char *what, const char *user, const char *password, const GuestInfo *info,
              GError **error)
{
    g_autofree char *hash = password_hash(password, password_scheme(info->distro, info->major), error);

    if (hash == NULL)
        return false;
    plan_add(plan, PLAN_PASSWORD, what, "/etc/shadow", user, hash);
    return true;
}

void
plan_ssh_keys(Plan *plan, const char *user, const char *keys)
{
    plan_add(plan, PLAN_SSH_KEYS, "add SSH keys", NULL, user, keys);
}

Plan *
plan_make(const GuestEdit *edit, const GuestInfo *info, GError **error)
{
    g_autoptr(Plan) plan = plan_new();

    if (g_strcmp0(info->type, "linux") != 0) {
        error_set(error, "%s: guests of type '%s' cannot be customized", edit->label,
                  info->type != NULL ? info->type : "unknown");
        return NULL;
    }
    if (edit->fresh_identity)
        plan_identity(plan, info);
    if (edit->hostname != NULL)
        plan_hostname(plan, edit->hostname, info);
    if (edit->ssh_keys != NULL && edit->ssh_keys[0] != NULL) {
        g_autofree char *keys = g_strjoinv("\n", (char **)edit->ssh_keys);

        plan_ssh_keys(plan, edit->ssh_user != NULL ? edit->ssh_user : "root", keys);
    }
    if (edit->root_password != NULL &&
        !plan_password(plan, "set the root password", "root", edit->root_password, info, error))
        return NULL;
    if (!guest_ops_is_empty(edit->ops) && !plan_ops(plan, edit->ops, info, error)) {
        g_prefix_error(error, "%s: ", edit->label);
        return NULL;
    }
    return g_steal_pointer(&plan);
}

bool
guest_edit_needs_appliance(const GuestEdit *edit)
{
    return edit->grow || edit->shrink_to > 0 || edit->hostname != NULL || edit->root_password != NULL ||
           edit->fresh_identity || (edit->ssh_keys != NULL && edit->ssh_keys[0] != NULL) ||
           !guest_ops_is_empty(edit->ops);
}
