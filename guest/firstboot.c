// SPDX-License-Identifier: Apache-2.0
#include "guest/firstboot.h"

#include <stdlib.h>
#include <string.h>

#define UNIT "virt-depot-firstboot"
#define SERVICE "/etc/systemd/system/" UNIT ".service"
#define SERVICE_LINK "/etc/systemd/system/multi-user.target.wants/" UNIT ".service"
#define INIT_SCRIPT "/etc/init.d/" UNIT
#define RUNLEVEL_LINK "/etc/runlevels/default/" UNIT
#define NUMBER_MAX 9999

static const char RUNNER[] =
    "#!/bin/sh\n"
    "# Runs each script in scripts/ once. It is moved away first: one that reboots or hangs the guest is not "
    "run again.\n"
    "top=" FIRSTBOOT_TOP "\n"
    "log=" FIRSTBOOT_LOG "\n"
    "export PATH=\"${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}\" "
    "HOME=\"${HOME:-/root}\"\n"
    "status=0\n"
    "mkdir -p -m 700 \"$top/done\" || exit 1\n"
    "(umask 077 && : >>\"$log\")\n"
    "cd / || exit 1\n"
    "for script in \"$top\"/scripts/*; do\n"
    "    [ -f \"$script\" ] || continue\n"
    "    name=${script##*/}\n"
    "    mv \"$script\" \"$top/done/$name\" && sync || exit 1\n"
    "    echo \"$(date '+%Y-%m-%d %H:%M:%S') $name: begins\" >>\"$log\"\n"
    "    \"$top/done/$name\" </dev/null >>\"$log\" 2>&1\n"
    "    code=$?\n"
    "    echo \"$(date '+%Y-%m-%d %H:%M:%S') $name: ended with status $code\" >>\"$log\"\n"
    "    if [ \"$code\" = 0 ]; then\n"
    "        rm -f \"$top/done/$name\"\n"
    "    else\n"
    "        status=1\n"
    "    fi\n"
    "done\n"
    "rm -f " SERVICE_LINK " " SERVICE " \\\n"
    "    " RUNLEVEL_LINK " " INIT_SCRIPT " /etc/rc[235].d/S99" UNIT "\n"
    "exit $status\n";

/* /bin/sh is named, because SELinux does not let init execute files of /var. */
static const char SERVICE_TEXT[] = "[Unit]\n"
                                   "Description=Run the scripts for the first boot\n"
                                   "Wants=network-online.target\n"
                                   "After=network-online.target\n"
                                   "ConditionPathExistsGlob=" FIRSTBOOT_SCRIPTS "/*\n"
                                   "\n"
                                   "[Service]\n"
                                   "Type=oneshot\n"
                                   "ExecStart=/bin/sh " FIRSTBOOT_TOP "/run\n"
                                   "\n"
                                   "[Install]\n"
                                   "WantedBy=multi-user.target\n";

static const char OPENRC_TEXT[] = "#!/sbin/openrc-run\n"
                                  "description=\"Run the scripts for the first boot\"\n"
                                  "depend() {\n"
                                  "    need localmount\n"
                                  "    after *\n"
                                  "}\n"
                                  "start() {\n"
                                  "    ebegin \"Running the scripts for the first boot\"\n"
                                  "    /bin/sh " FIRSTBOOT_TOP "/run\n"
                                  "    eend $?\n"
                                  "}\n";

static const char SYSV_TEXT[] = "#!/bin/sh\n"
                                "# chkconfig: 235 99 01\n"
                                "# description: Run the scripts for the first boot\n"
                                "### BEGIN INIT INFO\n"
                                "# Provides:          " UNIT "\n"
                                "# Required-Start:    $all\n"
                                "# Required-Stop:\n"
                                "# Default-Start:     2 3 5\n"
                                "# Default-Stop:\n"
                                "# Short-Description: Run the scripts for the first boot\n"
                                "### END INIT INFO\n"
                                "[ \"$1\" != start ] || exec /bin/sh " FIRSTBOOT_TOP "/run\n";

#define RUNNER_FILE                                                                                          \
    {                                                                                                        \
        FIRSTBOOT_TOP "/run", RUNNER, NULL, 0755                                                             \
    }

static const FirstbootFile SYSTEMD_FILES[] = {
    RUNNER_FILE,
    {SERVICE, SERVICE_TEXT, NULL, 0644},
    {SERVICE_LINK, NULL, SERVICE, 0},
    {0},
};
static const FirstbootFile OPENRC_FILES[] = {
    RUNNER_FILE,
    {INIT_SCRIPT, OPENRC_TEXT, NULL, 0755},
    {RUNLEVEL_LINK, NULL, INIT_SCRIPT, 0},
    {0},
};
/* On Red Hat's and SUSE's kin these are links to rc.d/ and init.d/. */
static const FirstbootFile SYSV_FILES[] = {
    RUNNER_FILE,
    {INIT_SCRIPT, SYSV_TEXT, NULL, 0755},
    {"/etc/rc2.d/S99" UNIT, NULL, INIT_SCRIPT, 0},
    {"/etc/rc3.d/S99" UNIT, NULL, INIT_SCRIPT, 0},
    {"/etc/rc5.d/S99" UNIT, NULL, INIT_SCRIPT, 0},
    {0},
};

const char *const *
firstboot_proof(FirstbootInit init)
{
    static const char *const SYSTEMD[] = {"/usr/lib/systemd/systemd", "/lib/systemd/systemd", NULL};
    static const char *const OPENRC[] = {"/sbin/openrc-run", "/usr/sbin/openrc-run", NULL};
    static const char *const SYSV[] = {"/etc/rc3.d", NULL};

    switch (init) {
    case FIRSTBOOT_SYSTEMD:
        return SYSTEMD;
    case FIRSTBOOT_OPENRC:
        return OPENRC;
    case FIRSTBOOT_SYSV:
        return SYSV;
    case FIRSTBOOT_INITS:
        break;
    }
    g_assert_not_reached();
}

const FirstbootFile *
firstboot_files(FirstbootInit init)
{
    switch (init) {
    case FIRSTBOOT_SYSTEMD:
        return SYSTEMD_FILES;
    case FIRSTBOOT_OPENRC:
        return OPENRC_FILES;
    case FIRSTBOOT_SYSV:
        return SYSV_FILES;
    case FIRSTBOOT_INITS:
        break;
    }
    g_assert_not_reached();
}

static long
greatest_number(char *const *paths)
{
    long greatest = 0;

    for (unsigned i = 0; paths[i] != NULL; i++) {
        g_autofree char *name = g_path_get_basename(paths[i]);
        long number = g_ascii_isdigit(name[0]) ? strtol(name, NULL, 10) : 0;

        greatest = MAX(greatest, number);
    }
    return MIN(greatest, NUMBER_MAX - 1);
}

char *
firstboot_name(const char *title, char *const *old)
{
    g_autofree char *name = g_strndup(title, FIRSTBOOT_NAME_MAX);

    g_strcanon(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-", '-');
    return g_strdup_printf("%04ld-%s", greatest_number(old) + 1, name);
}
