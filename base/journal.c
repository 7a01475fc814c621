// SPDX-License-Identifier: Apache-2.0
/* Journal entries: DIR/OPERATION-UUID, lines "action<TAB>argument", flock()ed by the process that writes
 * them. */
#include "base/journal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* A record is short; an entry of this size holds a deploy of some ten thousand VMs. */
#define ENTRY_MAX_BYTES (16u << 20)

struct Journal {
    char *path;
    Fd fd;
    GPtrArray *lines;
    guint n_written;
};

static void
journal_free(Journal *journal)
{
    fd_close(journal->fd);
    g_ptr_array_unref(journal->lines);
    g_free(journal->path);
    g_free(journal);
}

static Journal *
journal_new(char *path, int fd)
{
    Journal *journal = g_new0(Journal, 1);

    journal->path = path;
    journal->fd = fd;
    journal->lines = g_ptr_array_new_with_free_func(g_free);
    return journal;
}

Journal *
journal_begin(const char *dir, const char *operation, GError **error)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *name = g_strdup_printf("%s-%s", operation, id);
    g_autofree char *path = g_build_filename(dir, name, NULL);
    int fd;

    if (!file_make_dirs(dir, 0700, error))
        return NULL;
    fd = file_lock(path, true, error);
    if (fd < 0)
        return NULL;
    return journal_new(g_steal_pointer(&path), fd);
}

void
journal_record(Journal *journal, const char *action, const char *argument)
{
    g_assert(strpbrk(action, "\t\n") == NULL && strpbrk(argument, "\t\n") == NULL);
    g_ptr_array_add(journal->lines, g_strdup_printf("%s\t%s", action, argument));
}

bool
journal_sync(Journal *journal, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(journal->path);
    bool is_first = journal->n_written == 0;

    for (; journal->n_written < journal->lines->len; journal->n_written++) {
        g_autofree char *line =
            g_strconcat(g_ptr_array_index(journal->lines, journal->n_written), "\n", NULL);

        if (!fd_write_all(journal->fd, line, strlen(line), journal->path, error))
            return false;
    }
    if (fdatasync(journal->fd) < 0)
        return error_set_errno(error, "%s: cannot sync", journal->path);
    return !is_first || file_sync_dir(dir, error);
}

bool
journal_commit(Journal *journal, GError **error)
{
    bool is_ok = file_remove(journal->path, error);

    journal_free(journal);
    return is_ok;
}

bool
journal_undo(Journal *journal, JournalUndo undo, void *context, GError **error)
{
    GError *first = NULL;

    for (guint i = journal->lines->len; i-- > 0;) {
        g_auto(GStrv) parts = g_strsplit(g_ptr_array_index(journal->lines, i), "\t", 2);
        GError *failure = NULL;

        if (!undo(parts[0], parts[1], context, &failure) && first == NULL)
            first = failure;
        else
            g_clear_error(&failure);
    }
    if (first != NULL) {
        g_propagate_error(error, first);
        journal_free(journal);
        return false;
    }
    return journal_commit(journal, error);
}

/* A line without its newline was cut off by the crash: its action had not begun, so it is left out. */
static bool
read_lines(Journal *journal, GError **error)
{
    g_autoptr(GBytes) bytes = file_read(journal->path, ENTRY_MAX_BYTES, error);
    const char *at;
    const char *end;
    const char *newline;
    gsize size;

    if (bytes == NULL)
        return false;
    at = g_bytes_get_data(bytes, &size);
    end = at + size;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (memchr(at, '\t', (size_t)(newline - at)) != NULL)
            g_ptr_array_add(journal->lines, g_strndup(at, (gsize)(newline - at)));
        at = newline + 1;
    }
    return true;
}

static bool
recover_entry(const char *path, JournalUndo undo, void *context, unsigned *undone, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    Journal *journal;

    if (fd < 0)
        return errno == ENOENT || error_set_errno(error, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return true; /* its process lives */
    journal = journal_new(g_strdup(path), fd_steal(&fd));
    if (!read_lines(journal, error)) {
        journal_free(journal);
        return false;
    }
    ++*undone;
    return journal_undo(journal, undo, context, error);
}

bool
journal_recover(const char *dir, const char *operation, JournalUndo undo, void *context, unsigned *out_undone,
                GError **error)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    g_autofree char *prefix = g_strconcat(operation, "-", NULL);
    const char *name;
    unsigned undone = 0;
    bool is_ok = true;

    while (is_ok && entries != NULL && (name = g_dir_read_name(entries)) != NULL) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        if (g_str_has_prefix(name, prefix))
            is_ok = recover_entry(path, undo, context, &undone, error);
    }
    *out_undone = undone;
    return is_ok;
}
