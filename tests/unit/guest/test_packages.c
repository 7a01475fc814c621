// SPDX-License-Identifier: Apache-2.0
/* The exact commands of each package manager. */
#include "guest/packages.h"

#include "sh_syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define APT                                                                                                  \
    "#!/bin/sh\nset -e\n"                                                                                    \
    "export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none "          \
    "NEEDRESTART_SUSPEND=1\n"                                                                                \
    "apt() {\n"                                                                                              \
    "    apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef "                       \
    "-o Dpkg::Options::=--force-confold \"$@\"\n"                                                            \
    "}\n"
#define QUIET                                                                                                \
    "policy=/usr/sbin/policy-rc.d\n"                                                                         \
    "restore() {\n"                                                                                          \
    "    rm -f \"$policy\"\n"                                                                                \
    "    [ ! -e \"$policy.saved\" ] || mv \"$policy.saved\" \"$policy\"\n"                                   \
    "}\n"                                                                                                    \
    "[ ! -e \"$policy\" ] || mv \"$policy\" \"$policy.saved\"\n"                                             \
    "trap restore EXIT\n"                                                                                    \
    "printf '#!/bin/sh\\nexit 101\\n' >\"$policy\"\n"                                                        \
    "chmod 755 \"$policy\"\n"
#define ZYPPER                                                                                               \
    "#!/bin/sh\nset -e\n"                                                                                    \
    "export ZYPP_LOCK_TIMEOUT=600\n"                                                                         \
    "zypper() {\n"                                                                                           \
    "    command zypper --non-interactive \"$@\" || case $? in 102 | 103) ;; *) return 1 ;; esac\n"          \
    "}\n"                                                                                                    \
    "zypper_update() {\n"                                                                                    \
    "    case $(. /etc/os-release && echo \"$ID\") in\n"                                                     \
    "    *tumbleweed* | *slowroll* | *microos*) zypper dist-upgrade --auto-agree-with-licenses ;;\n"         \
    "    *) zypper update --auto-agree-with-licenses ;;\n"                                                   \
    "    esac\n"                                                                                             \
    "}\n"
#define PLAIN "#!/bin/sh\nset -e\n"

static const struct {
    const char *manager;
    PackagesAction action;
    bool is_booted;
    const char *script;
} SCRIPTS[] = {
    {"apt", PACKAGES_INSTALL, false, APT QUIET "apt update\napt install 'vim' 'g++'\n"},
    {"apt", PACKAGES_INSTALL, true, APT "apt update\napt install 'vim' 'g++'\n"},
    {"apt", PACKAGES_UNINSTALL, false, APT QUIET "apt remove 'vim' 'g++'\n"},
    {"apt", PACKAGES_UPDATE, false, APT QUIET "apt update\napt --with-new-pkgs upgrade\n"},
    {"dnf", PACKAGES_INSTALL, false, PLAIN "dnf -y install 'vim' 'g++'\n"},
    {"dnf", PACKAGES_INSTALL, true, PLAIN "dnf -y install 'vim' 'g++'\n"},
    {"dnf", PACKAGES_UNINSTALL, false, PLAIN "dnf -y remove 'vim' 'g++'\n"},
    {"dnf", PACKAGES_UPDATE, false, PLAIN "dnf -y upgrade --best\n"},
    {"yum", PACKAGES_INSTALL, false, PLAIN "yum -y install 'vim' 'g++'\n"},
    {"yum", PACKAGES_UNINSTALL, false, PLAIN "yum -y remove 'vim' 'g++'\n"},
    {"yum", PACKAGES_UPDATE, false, PLAIN "yum -y update\n"},
    {"zypper", PACKAGES_INSTALL, false, ZYPPER "zypper install --auto-agree-with-licenses 'vim' 'g++'\n"},
    {"zypper", PACKAGES_UNINSTALL, false, ZYPPER "zypper remove 'vim' 'g++'\n"},
    {"zypper", PACKAGES_UPDATE, false, ZYPPER "zypper_update\n"},
    {"apk", PACKAGES_INSTALL, false, PLAIN "apk update\napk add 'vim' 'g++'\n"},
    {"apk", PACKAGES_UNINSTALL, false, PLAIN "apk del 'vim' 'g++'\n"},
    {"apk", PACKAGES_UPDATE, false, PLAIN "apk update\napk upgrade\n"},
    {"pacman", PACKAGES_INSTALL, false, PLAIN "pacman -Syu --noconfirm --needed 'vim' 'g++'\n"},
    {"pacman", PACKAGES_UNINSTALL, false, PLAIN "pacman -R --noconfirm 'vim' 'g++'\n"},
    {"pacman", PACKAGES_UPDATE, false, PLAIN "pacman -Syu --noconfirm\n"},
    {"xbps", PACKAGES_INSTALL, false, PLAIN "xbps-install -S\nxbps-install -y 'vim' 'g++'\n"},
    {"xbps", PACKAGES_UNINSTALL, false, PLAIN "xbps-remove -y 'vim' 'g++'\n"},
    {"xbps", PACKAGES_UPDATE, false, PLAIN "xbps-install -S\nxbps-install -uy\n"},
    {"urpmi", PACKAGES_INSTALL, false, PLAIN "urpmi.update -a\nurpmi --auto 'vim' 'g++'\n"},
    {"urpmi", PACKAGES_UNINSTALL, false, PLAIN "urpme --auto 'vim' 'g++'\n"},
    {"urpmi", PACKAGES_UPDATE, false, PLAIN "urpmi.update -a\nurpmi --auto --auto-select\n"},
    {"pisi", PACKAGES_INSTALL, false,
     PLAIN "pisi --yes-all update-repo\npisi --yes-all install 'vim' 'g++'\n"},
    {"pisi", PACKAGES_UNINSTALL, false, PLAIN "pisi --yes-all remove 'vim' 'g++'\n"},
    {"pisi", PACKAGES_UPDATE, false, PLAIN "pisi --yes-all update-repo\npisi --yes-all upgrade\n"},
};

static void
each_package_manager_gets_its_own_commands_that_ask_nothing(void **state G_GNUC_UNUSED)
{
    const char *names[] = {"vim", "g++", NULL};

    for (unsigned i = 0; i < G_N_ELEMENTS(SCRIPTS); i++) {
        g_autofree char *script = packages_script(SCRIPTS[i].manager, SCRIPTS[i].action, (char **)names,
                                                  SCRIPTS[i].is_booted, NULL);

        assert_string_equal(script, SCRIPTS[i].script);
        assert_shell_reads(script);
    }
}

static void
a_package_manager_that_is_not_known_is_refused(void **state G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL, none = NULL;

    assert_null(packages_script("brew", PACKAGES_UPDATE, NULL, false, &error));
    assert_string_equal(error->message, "the package manager 'brew' is not known");
    assert_null(packages_script(NULL, PACKAGES_UPDATE, NULL, false, &none));
    assert_string_equal(none->message, "the guest's package manager is not known");
}

static void
the_distribution_or_one_that_it_is_like_tells_the_package_manager(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *id, *like;
        int major;
        const char *manager;
    } table[] = {
        {"debian", NULL, 12, "apt"},
        {"pop", "ubuntu debian", 22, "apt"},
        {"fedora", NULL, 41, "dnf"},
        {"fedora", NULL, 21, "yum"},
        {"rhel", "fedora", 9, "dnf"},
        {"rhel", "fedora", 7, "yum"},
        {"centos", "rhel fedora", 7, "yum"},
        {"almalinux", "rhel centos fedora", 9, "dnf"},
        {"amzn", "centos rhel fedora", 2, "yum"},
        {"amzn", "rhel fedora", 2018, "yum"},
        {"amzn", "fedora", 2023, "dnf"},
        {"opensuse-leap", "suse opensuse", 15, "zypper"},
        {"sles", "suse", 15, "zypper"},
        {"alpine", NULL, 3, "apk"},
        {"endeavouros", "arch", 0, "pacman"},
        {"void", NULL, 0, "xbps"},
        {"mageia", "mandriva fedora", 9, "urpmi"},
        {"nixos", NULL, 24, NULL},
        {NULL, NULL, 0, NULL},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        const char *manager = packages_manager(table[i].id, table[i].like, table[i].major);

        if (g_strcmp0(manager, table[i].manager) != 0)
            fail_msg("%s %d: %s", table[i].id, table[i].major, manager);
    }
}

static void
what_cannot_be_a_package_is_wrong_usage(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *name;
        bool is_good;
    } table[] = {
        {"vim", true},           {"g++", true},          {"libc6:i386", true},  {"vim=2:9.0.1378-2", true},
        {"vim/bookworm", true},  {"@core", true},        {"kernel*", true},     {"/usr/bin/vim", true},
        {"python3.11", true},    {"php8.2-fpm~x", true}, {"pattern:kde", true}, {"", false},
        {"-y", false},           {"--root=/", false},    {"a b", false},        {"a;b", false},
        {"$(id)", false},        {"`id`", false},        {"a'b", false},        {"a\"b", false},
        {"a\nb", false},         {"a|b", false},         {"a&b", false},        {"a\\b", false},
        {"apt-", false},         {"v\xc3\xaf", false},   {"a>b", false},        {".", false},
        {"@Xfce Desktop", true}, {"@a;b", false},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        const char *names[] = {"good", table[i].name, NULL};
        g_autoptr(GError) error = NULL;

        if (packages_check((char **)names, &error) != table[i].is_good)
            fail_msg("'%s'", table[i].name);
        if (!table[i].is_good)
            assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_USAGE));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_package_manager_gets_its_own_commands_that_ask_nothing),
        cmocka_unit_test(a_package_manager_that_is_not_known_is_refused),
        cmocka_unit_test(the_distribution_or_one_that_it_is_like_tells_the_package_manager),
        cmocka_unit_test(what_cannot_be_a_package_is_wrong_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
