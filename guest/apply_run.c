// SPDX-License-Identifier: Apache-2.0
/* Runs programs of the mounted guest in the appliance. */
#include "guest/apply.h"

#include "guest/run_text.h"

#include <string.h>
#include <sys/utsname.h>

/* Whether the guest's programs are for this machine's processor. */
static bool
check_machine(const ApplyContext *c, GError **error)
{
    struct utsname host;
    g_autofree char *shell = guestfs_realpath(c->g, "/bin/sh");
    g_autofree char *arch = shell != NULL ? guestfs_file_architecture(c->g, shell) : NULL;

    if (arch == NULL)
        return apply_fail(c, error);
    if (uname(&host) != 0)
        return error_set_errno(error, "cannot find out this machine's processor");
    if (!run_is_possible(host.machine, arch))
        return error_set(error,
                         "%s: cannot %s: the guest's programs are for %s, this machine is %s; "
                         "--firstboot leaves it to the guest's first boot",
                         c->label, c->op->what, arch, host.machine);
    return true;
}

/*
 * A process that outlives its command keeps the guest's file systems from being unmounted, and before them what libguestfs
 * mounts in the guest for the command alone. In the appliance, whose fuser it is; a failure shows when the guest is unmounted.
 */
static void
kill_the_rest(const ApplyContext *c)
{
    static const char CODE[] = "exec >/dev/null 2>&1\n"
                               "for i in 1 2 3 4 5; do fuser -k -s /sysroot || break; sleep 0.1; done\n"
                               "for i in sys/fs/selinux sys proc dev/pts dev; do\n"
                               "    ! mountpoint -q /sysroot/$i || umount /sysroot/$i\n"
                               "done\n";
    const char *command[] = {CODE, NULL};

    g_free(guestfs_debug(c->g, "sh", (char *const *)command));
}

/* Overwritten where the appliance can, and gone in any case. */
static bool
clean_up(const ApplyContext *c, const char *folder, GError **error)
{
    g_autofree char *log = g_build_filename(folder, "log", NULL);
    g_autofree char *script = g_build_filename(folder, "script", NULL);

    kill_the_rest(c);
    guestfs_scrub_file(c->g, log);
    guestfs_scrub_file(c->g, script);
    return apply_done(c, guestfs_rm_rf(c->g, folder), error);
}

static char *
read_end(const ApplyContext *c, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "log", NULL);
    int64_t all = guestfs_filesize(c->g, path);
    int64_t offset = MAX(all - (int64_t)RUN_MAX_BYTES, 0);
    size_t size = 0;
    g_autofree char *log = all > 0 ? guestfs_pread(c->g, path, (int)RUN_MAX_BYTES, offset, &size) : NULL;

    return run_last_lines(log != NULL ? log : "", size);
}

/* Runs the script in @folder. */
static bool
run_in(const ApplyContext *c, const char *folder, GError **error)
{
    g_auto(GStrv) environment = g_get_environ();
    g_autofree char *wrapper = run_wrapper(folder, (const char *const *)environment);
    g_autofree char *status = guestfs_sh(c->g, wrapper);
    g_autofree char *said = NULL;

    if (status == NULL)
        return apply_fail(c, error);
    g_strstrip(status);
    if (strcmp(status, "0") == 0)
        return true;
    said = read_end(c, folder);
    return error_set(error, "%s: cannot %s '%s': it ended with status %s%s%s", c->label, c->op->what,
                     c->op->value, status, said[0] != '\0' ? " after: " : " and printed nothing", said);
}

bool
apply_run(const ApplyContext *c, GError **error)
{
    g_autofree char *folder = NULL, *path = NULL;

    if (!check_machine(c, error))
        return false;
    folder = guestfs_mkdtemp(c->g, "/tmp/virt-depot-XXXXXX");
    path = folder != NULL ? g_build_filename(folder, "script", NULL) : NULL;
    if (folder == NULL || guestfs_write(c->g, path, c->op->text, strlen(c->op->text)) == -1 ||
        guestfs_chmod(c->g, 0700, path) == -1)
        return apply_fail(c, error);
    if (!run_in(c, folder, error)) {
        clean_up(c, folder, NULL);
        return false;
    }
    return clean_up(c, folder, error);
}
