// SPDX-License-Identifier: Apache-2.0
/*
 * Files under names of their own: what a repository that was not made by virt-depot has. The file is a blob; gen/N/NAME is a
 * link to it, and NAME at the top a link through "current", so that names and texts change at one moment.
 */
#include "base/file.h"
#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NAME 1024u /* bytes; a path of the file system has 4096 */
#define MAX_PART 255u
#define MAX_DEPTH 16u
#define MAX_LINKS 1000000u /* of one generation: an index has 200,000 entries at most, each with two names */

/* The texts, and the folders of a repository. "blobs" is no link: what has the name of a blob is one. */
static const char *const OWN[] = {"index",     "index.asc",   "index.sig",       "keys.asc", "trust",
                                  "trust.sig", STORE_CURRENT, STORE_GENERATIONS, "blobs"};

static bool
is_part(const char *part)
{
    return *part != '\0' && *part != '.' && strlen(part) <= MAX_PART;
}

bool
store_is_link_name(const char *name)
{
    g_auto(GStrv) parts = strlen(name) <= MAX_NAME ? g_strsplit(name, "/", -1) : NULL;

    if (parts == NULL || *parts == NULL || g_strv_length(parts) > MAX_DEPTH)
        return false;
    for (const char *p = name; *p != '\0'; p++)
        if (g_ascii_iscntrl(*p))
            return false;
    for (char **part = parts; *part != NULL; part++)
        if (!is_part(*part))
            return false;
    for (size_t i = 0; i < G_N_ELEMENTS(OWN); i++)
        if (strcmp(parts[0], OWN[i]) == 0)
            return false;
    return true;
}

/* to_top: (transfer full) the way from the folder of gen/N/@name to the repository. */
static char *
to_top(const char *name)
{
    GString *way = g_string_new("../../");

    for (const char *p = strchr(name, '/'); p != NULL; p = strchr(p + 1, '/'))
        g_string_append(way, "../");
    return g_string_free(way, FALSE);
}

static bool
write_link(int dir_fd, const char *dir, const StoreLink *link, GError **error)
{
    g_autofree char *top = to_top(link->name), *target = g_strconcat(top, link->blob, NULL);
    g_autofree char *path = g_strdup(link->name);

    g_assert(store_is_link_name(link->name) && store_is_blob(link->blob));
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(dir_fd, path, 0755) < 0 && errno != EEXIST)
            return error_set_errno(error, "%s/%s: cannot make", dir, path);
        *slash = '/';
    }
    if (symlinkat(target, dir_fd, path) == 0)
        return true;
    if (errno == ENOTDIR || errno == EEXIST || errno == ENOENT) /* the last: a link whose blob is not there */
        return error_set(error, "'%s': is both a file and a folder, or there twice", link->name);
    return error_set_errno(error, "%s/%s: cannot make", dir, path);
}

bool
store_links_write(const char *dir, const StoreLink *links, size_t n_links, GError **error)
{
    g_auto(Fd) fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(error, "%s", dir);
    for (size_t i = 0; i < n_links; i++)
        if (!write_link(fd, dir, &links[i], error))
            return false;
    return true;
}

/* note_link: "../../blobs/sha512/ab/HEX" counts from "blobs" on. Anything else among the files is none of ours. */
static void
note_link(int dir_fd, const char *leaf, const char *name, GHashTable *links)
{
    char target[MAX_NAME];
    ssize_t length = readlinkat(dir_fd, leaf, target, sizeof target - 1);
    const char *blob;

    if (length < 0)
        return;
    target[length] = '\0';
    blob = target + strspn(target, "./");
    if (store_is_blob(blob))
        g_hash_table_replace(links, g_strdup(name), g_strdup(blob));
}

static bool
walk(int dir_fd, const char *leaf, const char *prefix, unsigned depth, GHashTable *links, GError **error)
{
    int fd = openat(dir_fd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    bool is_ok = true;

    if (dir == NULL)
        return error_set_errno(error, "%s", leaf);
    while (is_ok && (entry = readdir(dir)) != NULL) {
        g_autofree char *name = g_strconcat(prefix, entry->d_name, NULL);
        struct stat status;

        if (*entry->d_name == '.' || fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (g_hash_table_size(links) >= MAX_LINKS)
            is_ok = error_set(error, "%s: more than %u names", leaf, MAX_LINKS);
        else if (S_ISLNK(status.st_mode))
            note_link(fd, entry->d_name, name, links);
        else if (S_ISDIR(status.st_mode) && depth < MAX_DEPTH) {
            g_autofree char *below = g_strconcat(name, "/", NULL);

            is_ok = walk(fd, entry->d_name, below, depth + 1, links, error);
        }
    }
    closedir(dir);
    return is_ok;
}

bool
store_add_links(Store *store, uint64_t version, GHashTable *links, GError **error)
{
    g_autofree char *dir =
        g_strdup_printf("%s/" STORE_GENERATIONS "/%" G_GUINT64_FORMAT, store->dir, version);

    return walk(AT_FDCWD, dir, "", 0, links, error);
}

bool
store_remove_link(Store *store, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(store->dir, STORE_CURRENT, name, NULL);

    g_assert(store->lock >= 0 && store_is_link_name(name));
    return file_remove(path, error);
}

bool
store_sweep_links(Store *store, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(store->dir, 0, error);
    const char *name;

    g_assert(store->lock >= 0);
    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = store_path(store, name), *target = g_file_read_link(path, NULL);
        g_autofree char *ours = g_build_filename(STORE_CURRENT, name, NULL);
        struct stat status;

        if (store_is_link_name(name) && g_strcmp0(target, ours) == 0 && stat(path, &status) < 0 &&
            errno == ENOENT && !file_remove(path, error))
            return false;
    }
    return true;
}
