// SPDX-License-Identifier: Apache-2.0
#include "guest/label.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

typedef struct {
    const char *pattern; /* a path and all below it; each '*' is one whole name */
    const char *type;
} Rule;

static const Rule RULES[] = {
    {"/bin", "bin_t"},
    {"/boot", "boot_t"},
    {"/etc", "etc_t"},
    {"/etc/cron.d", "system_cron_spool_t"},
    {"/etc/crontab", "system_cron_spool_t"},
    {"/etc/group", "passwd_file_t"},
    {"/etc/group-", "passwd_file_t"},
    {"/etc/gshadow", "shadow_t"},
    {"/etc/gshadow-", "shadow_t"},
    {"/etc/hostname", "hostname_etc_t"},
    {"/etc/hosts", "net_conf_t"},
    {"/etc/init.d", "initrc_exec_t"},
    {"/etc/locale.conf", "locale_t"},
    {"/etc/localtime", "locale_t"},
    {"/etc/machine-id", "machineid_t"},
    {"/etc/NetworkManager", "NetworkManager_etc_t"},
    {"/etc/passwd", "passwd_file_t"},
    {"/etc/passwd-", "passwd_file_t"},
    {"/etc/pki", "cert_t"},
    {"/etc/rc.d/init.d", "initrc_exec_t"},
    {"/etc/resolv.conf", "net_conf_t"},
    {"/etc/selinux", "selinux_config_t"},
    {"/etc/shadow", "shadow_t"},
    {"/etc/shadow-", "shadow_t"},
    {"/etc/sysconfig/network-scripts", "net_conf_t"},
    {"/etc/systemd/system", "systemd_unit_file_t"},
    {"/etc/vconsole.conf", "locale_t"},
    {"/home/*", "user_home_dir_t"},
    {"/home/*/*", "user_home_t"},
    {"/home/*/.ssh", "ssh_home_t"},
    {"/lib", "lib_t"},
    {"/lib64", "lib_t"},
    {"/opt", "usr_t"},
    {"/root", "admin_home_t"},
    {"/root/.ssh", "ssh_home_t"},
    {"/sbin", "bin_t"},
    {"/srv", "var_t"},
    {"/tmp", "tmp_t"},
    {"/usr", "usr_t"},
    {"/usr/bin", "bin_t"},
    {"/usr/lib", "lib_t"},
    {"/usr/lib64", "lib_t"},
    {"/usr/lib/systemd/system", "systemd_unit_file_t"},
    {"/usr/libexec", "bin_t"},
    {"/usr/local/bin", "bin_t"},
    {"/usr/local/sbin", "bin_t"},
    {"/usr/sbin", "bin_t"},
    {"/var", "var_t"},
    {"/var/lib", "var_lib_t"},
    {"/var/log", "var_log_t"},
    {"/var/spool", "var_spool_t"},
    {"/var/spool/cron", "user_cron_spool_t"},
    {"/var/tmp", "tmp_t"},
};

/* How closely @pattern describes @path; 0 where it is about another one. */
static unsigned
fit(const char *pattern, const char *path)
{
    unsigned closeness = 0;

    while (*pattern == '/' && *path == '/') {
        size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");
        bool is_any = want == 1 && *pattern == '*' && have > 0;

        if (!is_any && (want != have || memcmp(pattern, path, want) != 0))
            return 0;
        closeness += is_any ? 2 : 3; /* a name that is said fits better than a '*' */
        pattern += want;
        path += have;
    }
    return *pattern == '\0' ? closeness : 0;
}

char *
label_of_path(const char *path)
{
    const char *type = NULL;
    unsigned best = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(RULES); i++) {
        unsigned n = fit(RULES[i].pattern, path);

        if (n > best) {
            best = n;
            type = RULES[i].type;
        }
    }
    return type != NULL ? g_strdup_printf("system_u:object_r:%s:s0", type) : NULL;
}
