// SPDX-License-Identifier: Apache-2.0
/* Disks and their chains of backing files. */
#include "fetch/uses.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/paths.h"
#include "disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NOTE 8192u     /* one path */
#define MAX_CHAIN 200u     /* backing files below one another, as libvirt has it */
#define MAX_DEPTH 3u       /* folders within a folder of disks */
#define MAX_XML (8u << 20) /* a domain with its metadata is far below 1 MiB */
#define SYSTEM_CONF "/etc/libvirt"

/* ---- the notes ---- */

static char *
notes_folder(const char *id)
{
    g_autofree char *cache = path_cache();

    return g_build_filename(cache, "uses", id, NULL);
}

bool
uses_note(const char *id, const char *path, GError **error)
{
    g_autofree char *folder = notes_folder(id), *leaf = digest_bytes(DIGEST_SHA256, path, strlen(path));
    g_autofree char *note = g_build_filename(folder, leaf, NULL);

    return file_make_dirs(folder, 0755, error) && file_write_atomic(note, path, strlen(path), 0644, error);
}

void
uses_sweep(const char *id)
{
    g_autofree char *folder = notes_folder(id);

    file_remove_tree(folder, NULL);
}

/* ---- one disk and what is below it ---- */

static char *
identity(const struct stat *status)
{
    return g_strdup_printf("%llu:%llu", (unsigned long long)status->st_dev,
                           (unsigned long long)status->st_ino);
}

static void
doubt(Uses *uses, const char *path, const char *reason)
{
    g_ptr_array_add(uses->doubts, g_strdup_printf("%s: %s", path, reason));
}

static bool
is_qcow2(int fd)
{
    char magic[4];

    return pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic && memcmp(magic, "QFI\xfb", 4) == 0;
}

/* backing_of: (transfer full) (nullable) the absolute path of the file below @path. */
static char *
backing_of(Uses *uses, const char *path, int fd)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_auto(DiskInfo) info = {0};
    g_autoptr(GError) problem = NULL;
    const char *name;

    if (!is_qcow2(fd))
        return NULL;
    if (!disk_probe(fd, path, &info, &problem)) {
        g_ptr_array_add(uses->doubts, g_strdup(problem->message));
        return NULL;
    }
    name = info.backing_file;
    if (name == NULL)
        return NULL;
    if (g_str_has_prefix(name, "file:"))
        name += strlen("file:");
    if (strchr(name, ':') != NULL && !g_path_is_absolute(name)) {
        doubt(uses, path, "its backing file is not named by a path");
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
        if (errno != ENOENT && errno != ENOTDIR)
            doubt(uses, path, g_strerror(errno));
        return -1;
    }
    if (!S_ISREG(out_status->st_mode) && !S_ISBLK(out_status->st_mode))
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* A block device that only others may read is no disk of this user. */
    if (fd < 0 && errno != ENOENT && S_ISREG(out_status->st_mode))
        doubt(uses, path, g_strerror(errno));
    return fd;
}

static void
add_user(Uses *uses, const char *base, const char *user)
{
    g_autofree char *key = NULL;
    GPtrArray *users;
    struct stat status;

    if (stat(base, &status) < 0)
        return;
    key = identity(&status);
    users = g_hash_table_lookup(uses->users, key);
    if (users == NULL) {
        users = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(uses->users, g_steal_pointer(&key), users);
    }
    if (!g_ptr_array_find_with_equal_func(users, user, g_str_equal, NULL))
        g_ptr_array_add(users, g_strdup(user));
}

/* Everything below the disk @top is used by it. */
static void
look_into(Uses *uses, const char *top)
{
    g_autofree char *path = g_strdup(top);

    for (unsigned depth = 0; depth < MAX_CHAIN; depth++) {
        struct stat status;
        g_auto(Fd) fd = open_disk(uses, path, &status);
        char *below;

        if (fd < 0 || (depth == 0 && !g_hash_table_add(uses->visited, identity(&status))))
            return;
        below = backing_of(uses, path, fd);
        if (below == NULL)
            return;
        add_user(uses, below, top);
        g_free(path);
        path = below;
    }
    doubt(uses, top, "its chain of backing files does not end");
}

/* ---- where to look ---- */

static void
look_into_folder(Uses *uses, const char *folder, unsigned depth)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, leaf, NULL);
        struct stat status;

        if (lstat(path, &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode) && depth < MAX_DEPTH)
            look_into_folder(uses, path, depth + 1);
        else if (S_ISREG(status.st_mode) || S_ISLNK(status.st_mode))
            look_into(uses, path);
    }
}

static void
look_into_notes(Uses *uses, const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *note = g_build_filename(folder, leaf, NULL), *path = NULL, *beside = NULL;
        g_autoptr(GBytes) text = *leaf == '.' ? NULL : file_read(note, MAX_NOTE, NULL);

        if (text == NULL)
            continue;
        path = g_strndup(g_bytes_get_data(text, NULL), g_bytes_get_size(text));
        if (!g_path_is_absolute(path))
            continue;
        beside = g_path_get_dirname(path);
        look_into(uses, path);
        look_into_folder(uses, beside, MAX_DEPTH); /* it may have got another name */
    }
}

/* Whatever an XML file of libvirt names by an absolute path: a disk's file, or the folder of a pool. */
static void
look_at_value(Uses *uses, const char *value, bool is_pool)
{
    if (!g_path_is_absolute(value))
        return;
    if (is_pool && g_file_test(value, G_FILE_TEST_IS_DIR))
        look_into_folder(uses, value, 0);
    else
        look_into(uses, value);
}

static void
on_element(GMarkupParseContext *context G_GNUC_UNUSED, const char *element, const char **names,
           const char **values, void *data, GError **error G_GNUC_UNUSED)
{
    /* Loaders, logs and sockets are no disks; but they do no harm, and forgetting one that is does. */
    for (unsigned i = 0; names[i] != NULL; i++)
        if (strcmp(element, "source") == 0 && (strcmp(names[i], "file") == 0 || strcmp(names[i], "dev") == 0))
            look_at_value(data, values[i], false);
}

static void
on_text(GMarkupParseContext *context, const char *text, gsize size, void *data, GError **error G_GNUC_UNUSED)
{
    g_autofree char *value = g_strstrip(g_strndup(text, size));

    if (strcmp(g_markup_parse_context_get_element(context), "path") == 0)
        look_at_value(data, value, true);
}

static void
look_into_xml(Uses *uses, const char *path)
{
    static const GMarkupParser PARSER = {.start_element = on_element, .text = on_text};
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) text = file_read(path, MAX_XML, &problem);
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&PARSER, G_MARKUP_DEFAULT_FLAGS, uses, NULL);
    gsize size;
    const char *data = text == NULL ? NULL : g_bytes_get_data(text, &size);

    if (g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return;
    if (problem != NULL || !g_markup_parse_context_parse(context, data, (gssize)size, &problem) ||
        !g_markup_parse_context_end_parse(context, &problem))
        doubt(uses, path, problem->message);
}

static void
look_into_conf(Uses *uses, const char *folder, unsigned depth)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, leaf, NULL);

        if (g_str_has_suffix(leaf, ".xml"))
            look_into_xml(uses, path);
        else if (depth < MAX_DEPTH && g_file_test(path, G_FILE_TEST_IS_DIR) &&
                 !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
            look_into_conf(uses, path, depth + 1);
    }
}

static void
look_at_libvirt(Uses *uses)
{
    static const char *const SYSTEM[] = {SYSTEM_CONF "/qemu", SYSTEM_CONF "/storage", "/run/libvirt/qemu",
                                         "/var/lib/libvirt/qemu/snapshot", NULL};
    g_autofree char *session = g_build_filename(g_get_user_config_dir(), "libvirt", NULL);
    g_autofree char *running = g_build_filename(g_get_user_runtime_dir(), "libvirt", NULL);

    for (unsigned i = 0; SYSTEM[i] != NULL; i++)
        look_into_conf(uses, SYSTEM[i], 0);
    look_into_conf(uses, session, 0);
    look_into_conf(uses, running, 0);
}

Uses *
uses_find(void)
{
    Uses *uses = g_new0(Uses, 1);
    g_autofree char *disks = path_disks(), *notes = notes_folder("");
    g_autoptr(GDir) dir = g_dir_open(notes, 0, NULL);

    uses->users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    uses->visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    uses->doubts = g_ptr_array_new_with_free_func(g_free);
    for (const char *leaf; dir != NULL && (leaf = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *folder = g_build_filename(notes, leaf, NULL);

        look_into_notes(uses, folder);
    }
    look_into_folder(uses, disks, 0);
    look_at_libvirt(uses);
    return uses;
}

void
uses_free(Uses *uses)
{
    if (uses == NULL)
        return;
    g_hash_table_unref(uses->users);
    g_hash_table_unref(uses->visited);
    g_ptr_array_unref(uses->doubts);
    g_free(uses);
}

const GPtrArray *
uses_of(const Uses *uses, const char *path)
{
    g_autofree char *key = NULL;
    struct stat status;

    if (stat(path, &status) < 0)
        return NULL;
    key = identity(&status);
    return g_hash_table_lookup(uses->users, key);
}

bool
uses_is_open(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
