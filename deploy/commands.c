// SPDX-License-Identifier: Apache-2.0
/* Files of a guest: listed, printed, copied, edited. Names are the guest's, so a terminal gets them made safe. */
#include "deploy/commands.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EDIT_MAX_BYTES (16u << 20) /* what an editor is for */

/* (transfer full) scripts get the very bytes */
static char *
shown(const char *name)
{
    return isatty(STDOUT_FILENO) ? cli_safe(name) : g_strdup(name);
}

/* ---- ls ---- */

/* (transfer full) "-rw-r--r--" as ls(1) */
static char *
mode_text(unsigned mode)
{
    static const char KINDS[16][2] = {"?", "p", "c", "?", "d", "?", "b", "?",
                                      "-", "?", "l", "?", "s", "?", "?", "?"};
    GString *text = g_string_new(KINDS[(mode & S_IFMT) >> 12]);

    for (unsigned i = 0; i < 9; i++)
        g_string_append_c(text, (mode & (0400u >> i)) != 0 ? "rwx"[i % 3] : '-');
    if ((mode & S_ISUID) != 0)
        text->str[3] = (mode & S_IXUSR) != 0 ? 's' : 'S';
    if ((mode & S_ISGID) != 0)
        text->str[6] = (mode & S_IXGRP) != 0 ? 's' : 'S';
    if ((mode & S_ISVTX) != 0)
        text->str[9] = (mode & S_IXOTH) != 0 ? 't' : 'T';
    return g_string_free(text, FALSE);
}

static void
print_file(const GuestFile *file, bool is_long)
{
    g_autofree char *name = shown(file->name);
    g_autofree char *link = file->link != NULL ? shown(file->link) : NULL;
    g_autofree char *mode = mode_text(file->mode);
    g_autofree char *time = cli_format_time(file->mtime);

    if (is_long)
        printf("%s %3" G_GINT64_FORMAT " %5" G_GINT64_FORMAT " %5" G_GINT64_FORMAT " %10" G_GINT64_FORMAT
               " %s ",
               mode, file->n_links, file->uid, file->gid, file->size, time);
    printf("%s%s%s\n", name, is_long && link != NULL ? " -> " : "", is_long && link != NULL ? link : "");
}

static Json *
file_json(const char *folder, const GuestFile *file)
{
    g_autofree char *path = g_build_filename(folder, file->name, NULL);
    g_autofree char *text = mode_text(file->mode);
    g_autofree char *octal = g_strdup_printf("%04o", file->mode & 07777);
    Json *json = json_new_object();

    json_set_text(json, "path", path);
    text[1] = '\0';
    json_set_text(json, "type", text);
    json_set_text(json, "mode", octal);
    json_set_number(json, "links", file->n_links);
    json_set_number(json, "uid", file->uid);
    json_set_number(json, "gid", file->gid);
    json_set_number(json, "size", file->size);
    json_set_number(json, "mtime", file->mtime);
    json_set_text(json, "link", file->link);
    return json;
}

bool
commands_ls(GuestView *view, char *const *paths, const ListStyle *style, GError **error)
{
    g_autoptr(Json) list = json_new_array();
    g_autofree char *text = NULL;

    for (; *paths != NULL; paths++) {
        g_autoptr(GPtrArray) files =
            guest_view_list(view, *paths, style->is_recursive, style->is_long || style->is_json, error);

        if (files == NULL)
            return false;
        for (guint i = 0; i < files->len; i++) {
            if (style->is_json)
                json_append(list, file_json(*paths, g_ptr_array_index(files, i)));
            else
                print_file(g_ptr_array_index(files, i), style->is_long);
        }
    }
    text = style->is_json ? json_print(list) : NULL;
    if (text != NULL)
        fputs(text, stdout);
    return true;
}

/* ---- cat, copies ---- */

bool
commands_cat(GuestView *view, char *const *paths, GError **error)
{
    fflush(stdout);
    for (; *paths != NULL; paths++)
        if (!guest_view_read(view, *paths, STDOUT_FILENO, "standard output", error))
            return false;
    return true;
}

bool
commands_copy_in(GuestView *view, char *const *paths, GError **error)
{
    for (; paths[1] != NULL; paths++) {
        const char *dir = paths[g_strv_length((char **)paths) - 1];

        if (!guest_view_copy_in(view, *paths, dir, error))
            return false;
    }
    return true;
}

bool
commands_copy_out(GuestView *view, char *const *paths, GError **error)
{
    const char *dir = paths[g_strv_length((char **)paths) - 1];

    for (; paths[1] != NULL; paths++) {
        unsigned n_special;

        if (!guest_view_copy_out(view, *paths, dir, &n_special, error))
            return false;
        if (n_special > 0)
            cli_note("%s: %u devices, FIFOs or sockets were left out", *paths, n_special);
    }
    return true;
}

/* ---- edit ---- */

static bool
run_editor(const char *path, GError **error)
{
    const char *editor = g_getenv("VISUAL") != NULL ? g_getenv("VISUAL") : g_getenv("EDITOR");
    /* $EDITOR may have options, so a shell takes it apart; the file's name is not part of the text. */
    g_autofree char *line = g_strdup_printf("%s \"$1\"", editor != NULL ? editor : "vi");
    const char *argv[] = {"sh", "-c", line, "sh", path, NULL};
    int status = 0;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL,
                      NULL, NULL, NULL, &status, error))
        return false;
    return g_spawn_check_wait_status(status, NULL) ||
           error_set(error, "%s failed: nothing was changed", editor != NULL ? editor : "vi");
}

/* What the editor wrote is under the name, not necessarily in the file that was opened. */
static bool
edit_copy(GuestView *view, const char *path, const char *local, int fd, const char *backup, GError **error)
{
    g_autoptr(GBytes) before = NULL;
    g_autoptr(GBytes) after = NULL;

    if (!guest_view_read(view, path, fd, local, error))
        return false;
    before = file_read(local, EDIT_MAX_BYTES, error);
    if (before == NULL || !run_editor(local, error))
        return false;
    after = file_read(local, EDIT_MAX_BYTES, error);
    if (after == NULL)
        return false;
    if (g_bytes_equal(before, after)) {
        cli_note("%s: not changed", path);
        return true;
    }
    return guest_view_replace(view, path, local, backup, error);
}

bool
commands_edit(GuestView *view, const char *path, const char *backup, GError **error)
{
    g_autofree char *local = NULL;
    g_auto(Fd) fd = g_file_open_tmp("virt-depot-XXXXXX", &local, error);
    bool is_ok = fd >= 0 && edit_copy(view, path, local, fd, backup, error);

    if (local != NULL)
        unlink(local);
    return is_ok;
}
