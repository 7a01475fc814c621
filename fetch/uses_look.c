// SPDX-License-Identifier: Apache-2.0
/* Disks with their chains of backing files, and folders of disks. */
#include "fetch/uses_look.h"

#include "base/fd.h"
#include "disk/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CHAIN 200u /* backing files below one another, as libvirt has it */

/* ---- doubts ---- */

void
uses_add_doubt(Uses *uses, const char *id, const char *format, ...)
{
    const char *key = id == NULL ? "" : id;
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(uses->doubts, text);
    if (!g_hash_table_contains(uses->doubted, key))
        g_hash_table_insert(uses->doubted, g_strdup(key), text);
}

/* What is there and cannot be read. */
static void
doubt_unreadable(Uses *uses, const char *id, const char *path, int problem)
{
    uses_add_doubt(uses, id, "%s: %s; make it readable for who runs this", path, g_strerror(problem));
}

static bool
is_absent(int problem)
{
    return problem == ENOENT || problem == ENOTDIR;
}

bool
uses_is_of_others(const char *path)
{
    g_autofree char *at = g_strdup(path);
    struct stat status;
    int result;

    /* Of what lies in a closed folder only that folder can be seen. */
    while ((result = stat(at, &status)) < 0 && errno == EACCES) {
        char *above = g_path_get_dirname(at);

        g_free(at);
        at = above;
    }
    return geteuid() != 0 && result == 0 && status.st_uid != geteuid();
}

/* ---- one disk and what is below it ---- */

char *
uses_key(const struct stat *status)
{
    return g_strdup_printf("%llu:%llu", (unsigned long long)status->st_dev,
                           (unsigned long long)status->st_ino);
}

void
uses_add(Uses *uses, const char *base, const char *user)
{
    g_autofree char *key = NULL;
    GPtrArray *users;
    struct stat status;

    if (stat(base, &status) < 0)
        return;
    key = uses_key(&status);
    users = g_hash_table_lookup(uses->users, key);
    if (users == NULL) {
        users = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(uses->users, g_steal_pointer(&key), users);
    }
    if (!g_ptr_array_find_with_equal_func(users, user, g_str_equal, NULL))
        g_ptr_array_add(users, g_strdup(user));
}

static bool
is_qcow2(Uses *uses, const char *path, int fd)
{
    char magic[4];
    ssize_t n = pread(fd, magic, sizeof magic, 0);

    if (n < 0)
        doubt_unreadable(uses, NULL, path, errno);
    return n == (ssize_t)sizeof magic && memcmp(magic, "QFI\xfb", 4) == 0;
}

/* backing_of: (transfer full) (nullable) the absolute path of the file below @path. */
static char *
backing_of(Uses *uses, const char *path, int fd)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_auto(DiskInfo) info = {0};
    g_autoptr(GError) problem = NULL;
    const char *name;

    if (!is_qcow2(uses, path, fd))
        return NULL;
    if (!disk_probe(fd, path, &info, &problem)) {
        uses_add_doubt(uses, NULL, "%s; repair it, or remove it if nobody needs it", problem->message);
        return NULL;
    }
    name = info.backing_file;
    if (name == NULL)
        return NULL;
    if (g_str_has_prefix(name, "file:"))
        name += strlen("file:");
    if (strchr(name, ':') != NULL && !g_path_is_absolute(name)) {
        uses_add_doubt(uses, NULL,
                       "%s: its backing file is not named by a path; 'qemu-img rebase -u' names it by one",
                       path);
        return NULL;
    }
    return g_canonicalize_filename(name, folder);
}

/* -1: no disk, or one that nobody here can say anything about. */
static int
open_disk(Uses *uses, const char *path, struct stat *out_status)
{
    int fd;

    /* Never a FIFO, a tape or whatever else reacts to being opened. */
    if (stat(path, out_status) < 0) {
        if (!is_absent(errno))
            doubt_unreadable(uses, NULL, path, errno);
        return -1;
    }
    if (!S_ISREG(out_status->st_mode) && !S_ISBLK(out_status->st_mode))
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* A block device that only others may read is no disk of this user. */
    if (fd < 0 && errno != ENOENT && S_ISREG(out_status->st_mode))
        doubt_unreadable(uses, NULL, path, errno);
    return fd;
}

/* why_missing: (nullable) how a disk that is not found may be there all the same; NULL: it was removed. */
static const char *
why_missing(const NamedDisk *disk)
{
    g_autofree char *folder = g_path_get_dirname(disk->path), *now = uses_folder_identity(folder);
    struct stat status;

    if (lstat(disk->path, &status) == 0)
        return "leads to nothing";
    if (now == NULL)
        return "is not there, nor is its folder";
    /* Below a mount point lies another folder than the one that is mounted over it. */
    if (disk->folder != NULL && strcmp(now, disk->folder) != 0)
        return "is not there, and its folder is not the one in which it was made";
    return NULL;
}

static void
look_for(Uses *uses, const NamedDisk *disk)
{
    const char *why;
    struct stat status;

    if (stat(disk->path, &status) == 0 || !is_absent(errno))
        return;
    why = why_missing(disk);
    if (why != NULL)
        uses_add_doubt(uses, disk->id, "%s: %s: mount its file system, or, if it is gone for good, %s",
                       disk->path, why, disk->remedy);
}

void
uses_look_into(Uses *uses, const char *top)
{
    g_autofree char *path = g_strdup(top), *remedy = g_strconcat("remove ", top, NULL);

    for (unsigned depth = 0; depth < MAX_CHAIN; depth++) {
        struct stat status;
        g_auto(Fd) fd = open_disk(uses, path, &status);
        char *below;

        if (fd < 0 || (depth == 0 && !g_hash_table_add(uses->visited, uses_key(&status))))
            return;
        below = backing_of(uses, path, fd);
        if (below == NULL)
            return;
        look_for(uses, &(NamedDisk){.path = below, .remedy = remedy});
        uses_add(uses, below, top);
        g_free(path);
        path = below;
    }
    uses_add_doubt(uses, NULL, "%s: its chain of backing files does not end; %s if nobody needs it", top,
                   remedy);
}

void
uses_look_into_named(Uses *uses, const NamedDisk *disk)
{
    look_for(uses, disk);
    uses_look_into(uses, disk->path);
}

/* ---- folders ---- */

char *
uses_folder_identity(const char *folder)
{
    struct statx status;

    /* Numbers of devices change from boot to boot; the time of birth, where there is one, tells inodes that are used anew. */
    if (statx(AT_FDCWD, folder, 0, STATX_TYPE | STATX_INO | STATX_BTIME, &status) < 0 ||
        !S_ISDIR(status.stx_mode))
        return NULL;
    if ((status.stx_mask & STATX_BTIME) == 0)
        status.stx_btime = (struct statx_timestamp){0};
    return g_strdup_printf("%llu:%lld.%09u", (unsigned long long)status.stx_ino,
                           (long long)status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
}

/* names: (transfer full) NULL with errno set. g_dir_read_name() would not tell an error from the end. */
static char **
read_names(const char *folder)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int problem;

    if (dir == NULL)
        return NULL;
    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(names, g_strdup(entry->d_name));
    problem = errno;
    closedir(dir);
    errno = problem;
    if (problem != 0)
        return NULL;
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

char **
uses_list(Uses *uses, const char *folder, bool is_named, const char *id)
{
    char **names = read_names(folder);
    int problem = errno;

    if (names == NULL && !is_absent(problem) && (is_named || problem != EACCES || !uses_is_of_others(folder)))
        doubt_unreadable(uses, id, folder, problem);
    return names;
}

static void
look_into_folder(Uses *uses, const char *folder, bool is_named, unsigned levels)
{
    g_auto(GStrv) names = uses_list(uses, folder, is_named, NULL);

    for (char **leaf = names; leaf != NULL && *leaf != NULL; leaf++) {
        g_autofree char *path = g_build_filename(folder, *leaf, NULL);
        struct stat status;

        if (lstat(path, &status) < 0) {
            if (!is_absent(errno))
                doubt_unreadable(uses, NULL, path, errno);
        } else if (S_ISDIR(status.st_mode) && levels > 0) {
            look_into_folder(uses, path, false, levels - 1);
        } else if (S_ISREG(status.st_mode) || S_ISLNK(status.st_mode)) {
            uses_look_into(uses, path);
        }
    }
}

void
uses_look_into_folder(Uses *uses, const char *folder, unsigned levels)
{
    look_into_folder(uses, folder, true, levels);
}
