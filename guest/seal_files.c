// SPDX-License-Identifier: Apache-2.0
/*
 * Removes files from the mounted guest by the table's patterns: one glob for all of them, one look at each folder in which
 * something was found.
 */
#include "base/fd.h"
#include "base/interrupt.h"
#include "guest/seal_text.h"
#include "guest/seal_work.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAT_BLOCK 512u
#define KIB 1024u
#define MAX_WALK_BYTES (64u << 20) /* names below one folder: a million of 64 bytes */

typedef struct {
    char *path;
    char *folder;
    const char *name; /* in path */
    bool is_there, is_folder;
    bool is_linked; /* a file of several names */
    int64_t device, inode;
    uint64_t bytes;
} Found;

static void
found_free(Found *found)
{
    g_free(found->path);
    g_free(found->folder);
    g_free(found);
}

static int
compare_found(gconstpointer a, gconstpointer b)
{
    const Found *const *one = a, *const *two = b;
    int order = strcmp((*one)->folder, (*two)->folder);

    return order != 0 ? order : strcmp((*one)->name, (*two)->name);
}

/* (element-type Found) (transfer full) by folder, each path once */
static GPtrArray *
found_of(char *const *paths)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)found_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (; *paths != NULL; paths++) {
        const char *slash = strrchr(*paths, '/');
        Found *found;

        if (slash == NULL || slash[1] == '\0' || !g_hash_table_add(seen, *paths))
            continue;
        found = g_new0(Found, 1);
        found->path = g_strdup(*paths);
        found->folder = g_path_get_dirname(*paths);
        found->name = found->path + (slash + 1 - *paths);
        g_ptr_array_add(all, found);
    }
    g_ptr_array_sort(all, compare_found);
    return all;
}

/* look_into: what the found files of one folder are, numbers @first to before @end */
static bool
look_into(const SealWork *work, GPtrArray *all, unsigned first, unsigned end, GError **error)
{
    g_autofree char **names = g_new0(char *, end - first + 1);
    const Found *some = all->pdata[first];
    struct guestfs_statns_list *stats;

    for (unsigned i = first; i < end; i++)
        names[i - first] = (char *)((Found *)all->pdata[i])->name;
    stats = guestfs_lstatnslist(work->visit->g, some->folder, names);
    if (stats == NULL)
        return seal_fail(work, "look into", some->folder, error);
    for (unsigned i = first; i < end && i - first < stats->len; i++) {
        const struct guestfs_statns *stat = &stats->val[i - first];
        Found *found = all->pdata[i];

        found->is_there = stat->st_ino != -1;
        found->is_folder = found->is_there && S_ISDIR((mode_t)stat->st_mode);
        found->is_linked = stat->st_nlink > 1;
        found->device = stat->st_dev;
        found->inode = stat->st_ino;
        found->bytes = (uint64_t)MAX(stat->st_blocks, 0) * STAT_BLOCK;
    }
    guestfs_free_statns_list(stats);
    return true;
}

static bool
look_at(const SealWork *work, GPtrArray *all, GError **error)
{
    for (unsigned first = 0, end; first < all->len; first = end) {
        const Found *some = all->pdata[first];

        for (end = first + 1; end < all->len; end++)
            if (strcmp(((Found *)all->pdata[end])->folder, some->folder) != 0)
                break;
        if (!look_into(work, all, first, end, error))
            return false;
    }
    return true;
}

bool
seal_remove(const SealWork *work, const SealRow *row, const char *path, bool is_folder, uint64_t bytes,
            GError **error)
{
    Appliance *g = work->visit->g;

    if (!interrupt_check(error))
        return false;
    if (is_folder) {
        int64_t kib = guestfs_du(g, path);

        if (kib == -1)
            return seal_fail(work, "measure", path, error);
        bytes = (uint64_t)kib * KIB;
    }
    if (!work->job->is_dry_run && (is_folder ? guestfs_rm_rf(g, path) : guestfs_rm(g, path)) == -1)
        return seal_fail(work, "remove", path, error);
    seal_tell(work, row, path, bytes);
    return true;
}

bool
seal_rewrite(const SealWork *work, const SealRow *row, const char *path, const char *old, const char *new,
             GError **error)
{
    if (strcmp(old, new) == 0)
        return true;
    if (!work->job->is_dry_run && guestfs_write(work->visit->g, path, new, strlen(new)) == -1)
        return seal_fail(work, "write", path, error);
    seal_tell(work, row, path, 0);
    return true;
}

static bool
edit(const SealWork *work, const SealRow *row, const char *path, GError **error)
{
    g_autofree char *old = appliance_read(work->visit->g, path, work->visit->label, error);
    g_autofree char *new = NULL;

    if (old == NULL)
        return false;
    new = row->action == SEAL_REPLACE ? g_strdup(row->lines[0]) : seal_text_drop_lines(old, row->lines);
    return seal_rewrite(work, row, path, old, new, error);
}

/*
 * Whether it is gone with something that was found before: below a folder, or itself by another way, as /var/run/x and
 * /run/x are one. Folders come before what is in them.
 */
static bool
is_second(GHashTable *seen, const Found *found)
{
    g_autofree char *above = g_strdup(found->folder);
    g_autofree char *id = g_strdup_printf("%" PRId64 ":%" PRId64, found->device, found->inode);

    while (above[1] != '\0') {
        char *next;

        if (g_hash_table_contains(seen, above))
            return true;
        next = g_path_get_dirname(above);
        g_free(above);
        above = next;
    }
    if ((!found->is_linked || found->is_folder) && g_hash_table_contains(seen, id))
        return true;
    g_hash_table_add(seen, g_steal_pointer(&id));
    return false;
}

/* treat: @found as the operations have it whose patterns it matches: several may edit it, one can remove it */
static bool
treat(const SealWork *work, const GPtrArray *patterns, const Found *found, GHashTable *seen, GError **error)
{
    const SealPattern *pattern;
    unsigned at = 0;

    if (!found->is_there || is_second(seen, found))
        return true;
    while ((pattern = seal_match(patterns, found->path, found->is_folder, &at)) != NULL) {
        SealAction action = pattern->row->action;

        if (action != SEAL_DROP_LINES && action != SEAL_REPLACE && found->is_folder)
            g_hash_table_add(seen, g_strdup(found->path));
        if (action != SEAL_DROP_LINES && action != SEAL_REPLACE)
            return seal_remove(work, pattern->row, found->path, found->is_folder, found->bytes, error);
        if (!edit(work, pattern->row, found->path, error))
            return false;
    }
    return true;
}

bool
seal_files(const SealWork *work, bool only_remade, GError **error)
{
    Appliance *g = work->visit->g;
    g_autofree char *passwd = appliance_read(g, "/etc/passwd", work->visit->label, error);
    g_auto(GStrv) homes = passwd != NULL ? seal_homes(passwd) : NULL;
    g_autoptr(GPtrArray) patterns = NULL, all = NULL;
    g_autoptr(GHashTable) seen = NULL;
    g_autofree char *glob = NULL;
    g_auto(GStrv) paths = NULL;

    if (homes == NULL)
        return false;
    patterns = seal_patterns(&work->job->set, work->visit->info, (const char *const *)homes, only_remade);
    glob = seal_glob(patterns);
    if (glob == NULL)
        return true;
    paths = guestfs_glob_expand_opts(g, glob, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);
    if (paths == NULL)
        return seal_fail(work, "search", "/", error);
    all = found_of(paths);
    seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (!look_at(work, all, error))
        return false;
    for (unsigned i = 0; i < all->len; i++)
        if (!treat(work, patterns, all->pdata[i], seen, error))
            return false;
    return true;
}

/* ---- editors' backup files ---- */

/* walk: (transfer full) the names of all that is below @folder, each ended by a zero byte */
static GBytes *
walk(const SealWork *work, const char *folder, GError **error)
{
    g_autofree char *path = NULL, *data = NULL;
    g_auto(Fd) fd = g_file_open_tmp("virt-depot-XXXXXX", &path, error);
    uint64_t size = 0;
    bool is_ok;

    if (fd < 0)
        return NULL;
    is_ok = guestfs_find0(work->visit->g, folder, path) != -1 || seal_fail(work, "search", folder, error);
    is_ok = is_ok && fd_size(fd, path, &size, error) &&
            (size <= MAX_WALK_BYTES ||
             error_set(error, "%s: cannot search %s: it holds too many files; leave out 'backup-files'",
                       work->visit->label, folder));
    data = is_ok ? g_malloc((gsize)size + 1) : NULL;
    is_ok = is_ok && fd_pread_exact(fd, data, (size_t)size, 0, path, error);
    unlink(path);
    return is_ok ? g_bytes_new_take(g_steal_pointer(&data), (gsize)size) : NULL;
}

static bool
is_backup(const char *name)
{
    return fnmatch("*.bak", name, 0) == 0 || fnmatch("*~", name, 0) == 0;
}

static bool
remove_backups(const SealWork *work, const char *folder, GBytes *names, GError **error)
{
    gsize size;
    const char *text = g_bytes_get_data(names, &size);

    for (gsize at = 0; at < size; at += strnlen(text + at, size - at) + 1) {
        g_autofree char *path = NULL; /* each name begins with a slash */
        struct guestfs_statns *stat;
        bool is_file;
        uint64_t bytes;

        if (memchr(text + at, '\0', size - at) == NULL || !is_backup(text + at))
            continue;
        path = g_strconcat(folder, text + at, NULL);
        stat = guestfs_lstatns(work->visit->g, path);
        if (stat == NULL)
            return seal_fail(work, "look at", path, error);
        is_file = S_ISREG((mode_t)stat->st_mode);
        bytes = (uint64_t)MAX(stat->st_blocks, 0) * STAT_BLOCK;
        guestfs_free_statns(stat);
        if (is_file && !seal_remove(work, seal_row("backup-files"), path, false, bytes, error))
            return false;
    }
    return true;
}

bool
seal_backups(const SealWork *work, GError **error)
{
    static const char *const FOLDERS[] = {"/etc", "/root", "/srv", "/tmp", "/var"};

    for (unsigned i = 0; i < G_N_ELEMENTS(FOLDERS); i++) {
        g_autoptr(GBytes) names = NULL;

        if (guestfs_is_dir(work->visit->g, FOLDERS[i]) != 1)
            continue;
        names = walk(work, FOLDERS[i], error);
        if (names == NULL || !remove_backups(work, FOLDERS[i], names, error))
            return false;
    }
    return true;
}
