// SPDX-License-Identifier: Apache-2.0
/* GnuPG homes on disk: configuration, agents, temporary homes and the removal of those that a kill -9 left.
 */
#include "sign/home.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GPGCONF_PROGRAM "/usr/bin/gpgconf"
#define HOME_PREFIX "vd-gpg-"
#define KEY_PREFIX ".new-" /* beside finished keys, whose names have no dot */
#define HOME_ATTEMPTS 16
#define LONGEST_SOCKET "/S.gpg-agent.browser"

static const char VERIFY_CONF[] =
    "no-auto-key-retrieve\n"
    "trust-model always\n"
    "no-autostart\n" /* verifying needs no agent, and secret keys are not wanted */
    "disable-dirmngr\n"
    "no-random-seed-file\n";

static const char SIGNING_CONF[] = "no-auto-key-retrieve\n"
                                   "trust-model always\n"
                                   "disable-dirmngr\n"
                                   "personal-digest-preferences SHA512\n"
                                   "digest-algo SHA512\n"
                                   "cert-digest-algo SHA512\n";

static bool
write_conf(const char *path, const char *text, GError **error)
{
    g_autofree char *conf = g_build_filename(path, "gpg.conf", NULL);

    return file_write_atomic(conf, text, strlen(text), 0600, error);
}

/* is_usable: XDG_RUNTIME_DIR is private and in memory, but may be stale (su) or too long for a socket. */
static bool
is_usable(const char *dir)
{
    return dir != NULL && g_path_is_absolute(dir) && strlen(dir) < 48 &&
           g_file_test(dir, G_FILE_TEST_IS_DIR) && access(dir, W_OK | X_OK) == 0;
}

static const char *
temporary_root(void)
{
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");

    if (is_usable(runtime))
        return runtime;
    return is_usable(g_get_tmp_dir()) ? g_get_tmp_dir() : "/tmp";
}

/* lock_home: a descriptor that holds the folder's lock, or -1 where somebody holds it or the folder is gone.
 */
static Fd
lock_home(const char *path)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0 || info.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    if (fstat(fd, &info) < 0 || info.st_nlink == 0)
        return -1;
    return fd_steal(&fd);
}

/* remove_abandoned: homes whose lock is free belonged to processes that died. */
static void
remove_abandoned(const char *root, const char *prefix)
{
    g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(root, name, NULL);
        g_auto(Fd) lock = -1;

        if (!g_str_has_prefix(name, prefix))
            continue;
        lock = lock_home(path);
        if (lock >= 0)
            file_remove_tree(path, NULL);
    }
}

bool
sign_home_check_path(const char *path, GError **error)
{
    size_t longest = sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof LONGEST_SOCKET;

    if (strlen(path) > longest)
        return error_set(error, "%s: the path of a GnuPG home may have at most %zu bytes", path, longest);
    return true;
}

static bool
init_below(Home *home, const char *root, const char *prefix, GError **error)
{
    g_autofree char *name = g_strconcat(prefix, "XXXXXX", NULL);

    *home = HOME_NONE;
    remove_abandoned(root, prefix);
    for (int i = 0; i < HOME_ATTEMPTS && home->lock < 0; i++) {
        g_autofree char *path = g_build_filename(root, name, NULL);

        if (g_mkdtemp_full(path, 0700) == NULL)
            return error_set_errno(error, "%s: cannot make the folder", path);
        /* Another run may take the new folder for an abandoned one before it is locked: then try again. */
        home->lock = lock_home(path);
        if (home->lock >= 0)
            home->path = g_steal_pointer(&path);
    }
    if (home->lock < 0)
        return error_set(error, "%s: cannot lock a temporary folder", root);
    return sign_home_check_path(home->path, error);
}

bool
sign_home_init_temporary(Home *home, GError **error)
{
    return init_below(home, temporary_root(), HOME_PREFIX, error) &&
           write_conf(home->path, VERIFY_CONF, error);
}

bool
sign_home_init_key(Home *home, const char *keys_dir, GError **error)
{
    return init_below(home, keys_dir, KEY_PREFIX, error);
}

bool
sign_home_keep(Home *home, const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);

    if (!file_sync_dir(home->path, error))
        return false;
    if (rename(home->path, path) < 0)
        return error_set_errno(error, "%s: cannot put the new key there", path);
    g_clear_pointer(&home->path, g_free);
    return file_sync_dir(parent, error);
}

void
sign_home_clear(Home *home)
{
    if (home->path != NULL) {
        g_autofree char *socket = g_build_filename(home->path, "S.gpg-agent", NULL);

        if (g_file_test(socket, G_FILE_TEST_EXISTS))
            sign_home_stop_agent(home->path);
        file_remove_tree(home->path, NULL);
    }
    g_clear_pointer(&home->path, g_free);
    if (home->lock >= 0)
        fd_close(fd_steal(&home->lock));
}

bool
sign_home_write_signing_conf(const char *path, unsigned valid_days, const char *signer, GError **error)
{
    g_autoptr(GString) text = g_string_new(SIGNING_CONF);

    if (valid_days > 0)
        g_string_append_printf(text, "default-sig-expire %ud\n", valid_days);
    if (signer != NULL) /* "!": this very subkey, not the newest one of its primary key */
        g_string_append_printf(text, "default-key %s!\n", signer);
    return write_conf(path, text->str, error);
}

void
sign_home_stop_agent(const char *path)
{
    const char *argv[] = {GPGCONF_PROGRAM, "--homedir", path, "--kill", "all", NULL};

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                 NULL, NULL, NULL, NULL, NULL);
}
