// SPDX-License-Identifier: Apache-2.0
#include "guest/packages.h"

#include <string.h>

#define NAME_MAX_BYTES 255u

typedef struct {
    const char *manager;
    const char *prologue; /* shell code before the commands */
    const char *refresh;  /* before installing and updating; NULL where the commands do it themselves */
    const char *install, *uninstall, *update;
} Row;

/*
 * confdef and confold: a configuration file that the image's maker changed stays as it is. "upgrade" with new packages is what
 * apt(8) does: a new kernel comes in, and nothing is removed.
 */
static const char APT_PROLOGUE[] =
    "export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none "
    "NEEDRESTART_SUSPEND=1\n"
    "apt() {\n"
    "    apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef "
    "-o Dpkg::Options::=--force-confold \"$@\"\n"
    "}\n";

/* 102: a reboot is advised; 103: zypper itself was updated. Both are success. Rolling releases are updated by "dup". */
static const char ZYPPER_PROLOGUE[] =
    "export ZYPP_LOCK_TIMEOUT=600\n"
    "zypper() {\n"
    "    command zypper --non-interactive \"$@\" || case $? in 102 | 103) ;; *) return 1 ;; esac\n"
    "}\n"
    "zypper_update() {\n"
    "    case $(. /etc/os-release && echo \"$ID\") in\n"
    "    *tumbleweed* | *slowroll* | *microos*) zypper dist-upgrade --auto-agree-with-licenses ;;\n"
    "    *) zypper update --auto-agree-with-licenses ;;\n"
    "    esac\n"
    "}\n";

/* Arch supports no partial upgrades: installing after a fresh list of packages means upgrading, too. */
static const Row ROWS[] = {
    {"apk", "", "apk update", "apk add", "apk del", "apk upgrade"},
    {"apt", APT_PROLOGUE, "apt update", "apt install", "apt remove", "apt --with-new-pkgs upgrade"},
    {"dnf", "", NULL, "dnf -y install", "dnf -y remove", "dnf -y upgrade --best"},
    {"pacman", "", NULL, "pacman -Syu --noconfirm --needed", "pacman -R --noconfirm",
     "pacman -Syu --noconfirm"},
    {"pisi", "", "pisi --yes-all update-repo", "pisi --yes-all install", "pisi --yes-all remove",
     "pisi --yes-all upgrade"},
    {"urpmi", "", "urpmi.update -a", "urpmi --auto", "urpme --auto", "urpmi --auto --auto-select"},
    {"xbps", "", "xbps-install -S", "xbps-install -y", "xbps-remove -y", "xbps-install -uy"},
    {"yum", "", NULL, "yum -y install", "yum -y remove", "yum -y update"},
    {"zypper", ZYPPER_PROLOGUE, NULL, "zypper install --auto-agree-with-licenses", "zypper remove",
     "zypper_update"},
};

/* Debian's packages ask policy-rc.d whether they may start a service: not in a chroot, whose processes outlive the command. */
static const char APT_QUIET_SERVICES[] =
    "policy=/usr/sbin/policy-rc.d\n"
    "restore() {\n"
    "    rm -f \"$policy\"\n"
    "    [ ! -e \"$policy.saved\" ] || mv \"$policy.saved\" \"$policy\"\n"
    "}\n"
    "[ ! -e \"$policy\" ] || mv \"$policy\" \"$policy.saved\"\n"
    "trap restore EXIT\n"
    "printf '#!/bin/sh\\nexit 101\\n' >\"$policy\"\n"
    "chmod 755 \"$policy\"\n";

/* The manager of each distribution, and of those that say they are like it. */
static const struct {
    const char *id;
    const char *manager;
} DISTRIBUTIONS[] = {
    {"alpine", "apk"},
    {"altlinux", "apt"},
    {"amzn", "dnf"},
    {"arch", "pacman"},
    {"debian", "apt"},
    {"fedora", "dnf"},
    {"mageia", "urpmi"},
    {"ol", "dnf"},
    {"openEuler", "dnf"},
    {"opensuse", "zypper"},
    {"pisi", "pisi"},
    {"rhel", "dnf"},
    {"suse", "zypper"},
    {"ubuntu", "apt"},
    {"void", "xbps"},
    {"devuan", "apt"},
    {"centos", "dnf"},
    {"scientific", "dnf"},
    {"sles", "zypper"},
    {"sled", "zypper"},
    {"kali", "apt"},
    {"manjaro", "pacman"},
    {"opensuse-leap", "zypper"},
    {"opensuse-tumbleweed", "zypper"},
};

static const char *
manager_of(const char *id)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(DISTRIBUTIONS); i++)
        if (strcmp(DISTRIBUTIONS[i].id, id) == 0)
            return DISTRIBUTIONS[i].manager;
    return NULL;
}

/* yum came before dnf: up to RHEL 7, Fedora 21 and Amazon Linux 2, which followed on 2018.03. */
static bool
is_before_dnf(const char *id, int major)
{
    if (strcmp(id, "fedora") == 0)
        return major > 0 && major < 22;
    if (strcmp(id, "amzn") == 0)
        return major > 0 && major < 2022;
    return major > 0 && major < 8;
}

const char *
packages_manager(const char *id, const char *like, int major)
{
    g_auto(GStrv) others = g_strsplit(like != NULL ? like : "", " ", -1);
    const char *manager = id != NULL ? manager_of(id) : NULL;

    for (unsigned i = 0; manager == NULL && others[i] != NULL; i++)
        manager = manager_of(others[i]);
    if (g_strcmp0(manager, "dnf") == 0 && is_before_dnf(id != NULL ? id : "", major))
        return "yum";
    return manager;
}

static bool
has_only(const char *name, const char *others)
{
    for (; *name != '\0'; name++)
        if (!g_ascii_isalnum(*name) && strchr(others, *name) == NULL)
            return false;
    return true;
}

static bool
is_name(const char *name)
{
    size_t length = strlen(name);
    const char *others = name[0] == '@' ? "+-._:=~^@/* " : "+-._:=~^@/*"; /* "@Xfce Desktop" is a group */

    return length > 0 && length <= NAME_MAX_BYTES && (g_ascii_isalnum(name[0]) || strchr("@/*", name[0])) &&
           name[length - 1] != '-' && /* apt's sign for removing what is to be installed */
           has_only(name, others);
}

bool
packages_check(char *const *names, GError **error)
{
    for (unsigned i = 0; names[i] != NULL; i++)
        if (!is_name(names[i]))
            return error_set_code(error, BASE_ERROR_USAGE, "'%s' is not the name of a package", names[i]);
    return true;
}

static const char *
command_of(const Row *row, PackagesAction action)
{
    switch (action) {
    case PACKAGES_INSTALL:
        return row->install;
    case PACKAGES_UNINSTALL:
        return row->uninstall;
    case PACKAGES_UPDATE:
        return row->update;
    }
    g_assert_not_reached();
}

static char *
script_of(const Row *row, PackagesAction action, char *const *names, bool is_booted)
{
    GString *script = g_string_new("#!/bin/sh\nset -e\n");

    g_string_append(script, row->prologue);
    if (strcmp(row->manager, "apt") == 0 && !is_booted)
        g_string_append(script, APT_QUIET_SERVICES);
    if (row->refresh != NULL && action != PACKAGES_UNINSTALL)
        g_string_append_printf(script, "%s\n", row->refresh);
    g_string_append(script, command_of(row, action));
    for (unsigned i = 0; action != PACKAGES_UPDATE && names[i] != NULL; i++) {
        g_autofree char *quoted = g_shell_quote(names[i]);

        g_string_append_printf(script, " %s", quoted);
    }
    g_string_append_c(script, '\n');
    return g_string_free(script, FALSE);
}

char *
packages_script(const char *manager, PackagesAction action, char *const *names, bool is_booted,
                GError **error)
{
    for (unsigned i = 0; manager != NULL && i < G_N_ELEMENTS(ROWS); i++)
        if (strcmp(ROWS[i].manager, manager) == 0)
            return script_of(&ROWS[i], action, names, is_booted);
    if (manager == NULL)
        error_set(error, "the guest's package manager is not known");
    else
        error_set(error, "the package manager '%s' is not known", manager);
    return NULL;
}
