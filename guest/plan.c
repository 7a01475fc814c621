// SPDX-License-Identifier: Apache-2.0
/*
 * Turns a GuestEdit into operations on files, for the distribution at hand. Which file holds the host name, what of
 * an identity is to go, and who makes new SSH host keys is decided here and nowhere else.
 */
#include "guest/plan.h"

#include "guest/password.h"
#include "guest/text.h"

#include <string.h>

#define HOSTNAME_MAX 64u    /* Linux's HOST_NAME_MAX: sethostname(2) refuses more, whatever RFC 1123 allows */
#define LABEL_MAX 63u       /* RFC 1123, 2.1 with RFC 1035, 2.3.4 */
#define KEY_LINE_MAX 16384u /* a 16384-bit RSA key has 2800 characters; sshd reads lines of any length */
#define USER_MAX 32u        /* useradd(8) */
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

/* Secrets and memories that two clones must not share. One glob(3) pattern with braces: one call per guest. */
static const char IDENTITY_FILES[] = "/{"
                                     "etc/ssh/ssh_host_*,"
                                     "var/lib/systemd/{random-seed,credential.secret},"
                                     "var/lib/{random-seed,urandom/random-seed,misc/random-seed},"
                                     "boot/{,efi/}loader/random-seed,"
                                     "var/lib/dhcp/*.leases*,"
                                     "var/lib/{dhclient,dhcpcd,dhcpcd5}/*,"
                                     "var/lib/NetworkManager/{*.lease,secret_key,timestamps},"
                                     "var/lib/wicked/*.xml"
                                     "}";

typedef enum { FAMILY_OTHER, FAMILY_DEBIAN, FAMILY_OLD_REDHAT, FAMILY_SUSE } Family;

static void
op_free(PlanOp *op)
{
    g_free(op->path);
    g_free(op->text);
    g_free(op->value);
    g_free(op);
}

void
plan_free(Plan *plan)
{
    if (plan == NULL)
        return;
    g_ptr_array_unref(plan->ops);
    g_free(plan);
}

static void
add(Plan *plan, PlanKind kind, const char *what, const char *path, const char *text, const char *value)
{
    PlanOp *op = g_new0(PlanOp, 1);

    op->kind = kind;
    op->what = what;
    op->path = g_strdup(path);
    op->text = g_strdup(text);
    op->value = g_strdup(value);
    g_ptr_array_add(plan->ops, op);
}

static Family
family(const GuestInfo *info)
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

static bool
check_hostname(const char *name, GError **error)
{
    g_auto(GStrv) labels = g_strsplit(name, ".", -1);

    if (name[0] == '\0' || strlen(name) > HOSTNAME_MAX)
        return error_set_code(error, BASE_ERROR_USAGE, "host name '%s': must have 1 to %u characters", name,
                              HOSTNAME_MAX);
    for (unsigned i = 0; labels[i] != NULL; i++) {
        size_t length = strlen(labels[i]);

        if (length == 0 || length > LABEL_MAX || labels[i][0] == '-' || labels[i][length - 1] == '-' ||
            strspn(labels[i], G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-") != length)
            return error_set_code(
                error, BASE_ERROR_USAGE,
                "host name '%s': each part must be 1 to %u letters, digits and inner hyphens", name,
                LABEL_MAX);
    }
    return true;
}

static bool
check_key(const char *line, GError **error)
{
    g_autofree char *blob = NULL;

    for (const char *at = line; *at != '\0'; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return error_set_code(error, BASE_ERROR_USAGE, "SSH key '%.40s': holds a control character",
                                  line);
    blob = text_key_blob(line);
    if (blob == NULL || strlen(line) > KEY_LINE_MAX)
        return error_set_code(error, BASE_ERROR_USAGE, "SSH key '%.40s': is not a public key line", line);
    return true;
}

static bool
check_user(const char *name, GError **error)
{
    size_t length = strlen(name);

    if (length == 0 || length > USER_MAX || name[0] == '-' ||
        strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_.-") != length)
        return error_set_code(error, BASE_ERROR_USAGE, "user '%s': is not a user name", name);
    return true;
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
    if (password != NULL &&
        (password[0] == '\0' || strlen(password) > PASSWORD_MAX_BYTES || strpbrk(password, "\r\n") != NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "root password: must be one line of 1 to %u bytes",
                              PASSWORD_MAX_BYTES);
    return true;
}

/* Never PRETTY_HOSTNAME in /etc/machine-info: it would outlive every later hostnamectl. */
static void
plan_hostname(Plan *plan, const char *name, const GuestInfo *info)
{
    static const char what[] = "set the host name";
    g_autofree char *line = g_strdup_printf("%s\n", name);

    switch (family(info)) {
    case FAMILY_OLD_REDHAT:
        add(plan, PLAN_SET_VARIABLE, what, "/etc/sysconfig/network", "HOSTNAME", name);
        return;
    case FAMILY_SUSE:
        add(plan, PLAN_WRITE, what, "/etc/hostname", line, NULL);
        add(plan, PLAN_REPLACE, what, "/etc/HOSTNAME", line, NULL);
        return;
    case FAMILY_DEBIAN:
        add(plan, PLAN_WRITE, what, "/etc/hostname", line, NULL);
        add(plan, PLAN_HOSTS_NAME, what, "/etc/hosts", info->hostname, name);
        return;
    case FAMILY_OTHER:
        add(plan, PLAN_WRITE, what, "/etc/hostname", line, NULL);
        return;
    }
}

static void
plan_identity(Plan *plan, const GuestInfo *info)
{
    static const char what[] = "make the identity fresh";
    static const char units[] = "/etc/systemd/system/";

    add(plan, PLAN_REMOVE, what, IDENTITY_FILES, NULL, NULL);
    /* Empty, not "uninitialized": that would be a "first boot", at which systemd-firstboot may ask questions. */
    add(plan, PLAN_REPLACE, what, "/etc/machine-id", "", NULL);
    add(plan, PLAN_LINK, what, "/var/lib/dbus/machine-id", "/etc/machine-id", NULL);
    if (family(info) == FAMILY_DEBIAN && !info->has_cloud_init) {
        g_autofree char *unit = g_strconcat(units, KEYS_UNIT, NULL);
        g_autofree char *wanted = g_strconcat(units, "multi-user.target.wants/", KEYS_UNIT, NULL);

        add(plan, PLAN_ENABLE, what, wanted, unit, NULL); /* makes the folders, too */
        add(plan, PLAN_WRITE, what, unit, KEYS_UNIT_TEXT, NULL);
    }
}

Plan *
plan_make(const GuestEdit *edit, const GuestInfo *info, GError **error)
{
    g_autoptr(Plan) plan = g_new0(Plan, 1);

    plan->ops = g_ptr_array_new_with_free_func((GDestroyNotify)op_free);
    plan->ssh_keys = edit->ssh_keys;
    if (g_strcmp0(info->type, "linux") != 0) {
        error_set(error, "%s: guests of type '%s' cannot be customized", edit->label,
                  info->type != NULL ? info->type : "unknown");
        return NULL;
    }
    if (edit->fresh_identity)
        plan_identity(plan, info);
    if (edit->hostname != NULL)
        plan_hostname(plan, edit->hostname, info);
    if (edit->ssh_keys != NULL && edit->ssh_keys[0] != NULL)
        add(plan, PLAN_SSH_KEYS, "add SSH keys", NULL, edit->ssh_user != NULL ? edit->ssh_user : "root",
            NULL);
    if (edit->root_password != NULL) {
        g_autofree char *hash =
            password_hash(edit->root_password, password_scheme(info->distro, info->major), error);

        if (hash == NULL)
            return NULL;
        add(plan, PLAN_PASSWORD, "set the root password", "/etc/shadow", "root", hash);
    }
    return g_steal_pointer(&plan);
}

bool
guest_edit_needs_appliance(const GuestEdit *edit)
{
    return edit->grow || edit->hostname != NULL || edit->root_password != NULL || edit->fresh_identity ||
           (edit->ssh_keys != NULL && edit->ssh_keys[0] != NULL);
}
