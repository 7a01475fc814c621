// SPDX-License-Identifier: Apache-2.0
/* Operations on files of the guest. The edits themselves are text.c's and edit.c's. */
#include "guest/apply.h"

#include "base/fd.h"
#include "guest/check.h"
#include "guest/edit.h"
#include "guest/text.h"

#include <string.h>
#include <sys/mman.h>

#define STYLE_BYTES 4096            /* of a file's start, which show how its lines end */
#define MAX_NAMES_BYTES (64u << 20) /* a million files with names of 64 bytes */

bool
apply_write(const ApplyContext *c, GError **error)
{
    return apply_write_text(c, c->op->path, c->op->text, error);
}

bool
apply_replace(const ApplyContext *c, GError **error)
{
    int exists = guestfs_is_file_opts(c->g, c->op->path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);

    if (exists == -1)
        return apply_fail(c, error);
    return exists == 0 || apply_write_text(c, c->op->path, c->op->text, error);
}

bool
apply_link(const ApplyContext *c, GError **error)
{
    int exists = guestfs_is_file(c->g, c->op->path);

    if (exists == -1 || (exists == 1 && guestfs_ln_sf(c->g, c->op->text, c->op->path) == -1))
        return apply_fail(c, error);
    return true;
}

bool
apply_enable(const ApplyContext *c, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(c->op->path);

    if (guestfs_mkdir_p(c->g, dir) == -1 || guestfs_ln_sf(c->g, c->op->text, c->op->path) == -1)
        return apply_fail(c, error);
    return true;
}

bool
apply_remove(const ApplyContext *c, GError **error)
{
    g_auto(GStrv) found =
        guestfs_glob_expand_opts(c->g, c->op->path, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);

    if (found == NULL)
        return apply_fail(c, error);
    for (unsigned i = 0; found[i] != NULL; i++)
        if (guestfs_rm_rf(c->g, found[i]) == -1)
            return apply_fail(c, error);
    return true;
}

bool
apply_variable(const ApplyContext *c, GError **error)
{
    g_autofree char *old = appliance_read(c->g, c->op->path, c->label, error);
    g_autofree char *new = old != NULL ? text_set_variable(old, c->op->text, c->op->value) : NULL;

    return new != NULL &&apply_write_text(c, c->op->path, new, error);
}

bool
apply_expect(const ApplyContext *c, GError **error)
{
    int exists = guestfs_exists(c->g, c->op->path);

    if (exists == 0)
        return error_set(error, "%s: cannot %s: the guest has no %s", c->label, c->op->what, c->op->path);
    return apply_done(c, exists, error);
}

bool
apply_symlink(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_ln_sf(c->g, c->op->text, c->op->path), error);
}

bool
apply_append_line(const ApplyContext *c, GError **error)
{
    int exists = guestfs_is_file_opts(c->g, c->op->path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);
    int64_t size = exists == 1 ? guestfs_filesize(c->g, c->op->path) : 0;
    g_autofree char *start = NULL, *end = NULL, *line = NULL;
    size_t start_size = 0, end_size = 0;

    if (exists == -1 || size == -1)
        return apply_fail(c, error);
    if (size > 0) {
        start = guestfs_pread(c->g, c->op->path, STYLE_BYTES, 0, &start_size);
        end = start != NULL ? guestfs_pread(c->g, c->op->path, 1, size - 1, &end_size) : NULL;
        if (end == NULL)
            return apply_fail(c, error);
    }
    line = text_line_to_append(start, start_size, end_size == 0 || end[0] == '\n', c->op->text);
    if (exists == 0)
        return apply_write_text(c, c->op->path, line, error);
    return apply_done(c, guestfs_write_append(c->g, c->op->path, line, strlen(line)), error);
}

bool
apply_chmod(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_chmod(c->g, (int)c->op->number[0], c->op->path), error);
}

bool
apply_chown(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_chown(c->g, (int)c->op->number[0], (int)c->op->number[1], c->op->path),
                      error);
}

bool
apply_copy(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_cp_a(c->g, c->op->path, c->op->text), error);
}

bool
apply_move(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_mv(c->g, c->op->path, c->op->text), error);
}

bool
apply_delete(const ApplyContext *c, GError **error)
{
    g_auto(GStrv) found =
        guestfs_glob_expand_opts(c->g, c->op->path, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);

    if (found == NULL)
        return apply_fail(c, error);
    for (unsigned i = 0; found[i] != NULL; i++) {
        if (check_is_root(found[i]))
            return error_set(error, "%s: cannot %s: '%s' means the root folder of the guest", c->label,
                             c->op->what, c->op->path);
        if (guestfs_rm_rf(c->g, found[i]) == -1)
            return apply_fail(c, error);
    }
    return true;
}

bool
apply_mkdir(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_mkdir_p(c->g, c->op->path), error);
}

bool
apply_scrub(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_scrub_file(c->g, c->op->path), error);
}

bool
apply_touch(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_touch(c->g, c->op->path), error);
}

bool
apply_truncate(const ApplyContext *c, GError **error)
{
    return apply_done(c, guestfs_truncate(c->g, c->op->path), error);
}

/* find: the names below the folder, each with a zero byte behind it: as a file, because a list of them all may not fit a message */
static GBytes *
find(const ApplyContext *c, GError **error)
{
    g_auto(Fd) fd = memfd_create("names", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/dev/fd/%d", fd);
    g_autofree char *names = NULL;
    uint64_t size;

    if (fd < 0) {
        error_set_errno(error, "cannot make a file in memory");
        return NULL;
    }
    if (guestfs_find0(c->g, c->op->path, path) == -1) {
        apply_fail(c, error);
        return NULL;
    }
    if (!fd_size(fd, "names", &size, error))
        return NULL;
    if (size > MAX_NAMES_BYTES) {
        error_set(error, "%s: cannot %s: %s holds too many files", c->label, c->op->what, c->op->path);
        return NULL;
    }
    names = g_malloc0(size + 1);
    if (!fd_pread_exact(fd, names, size, 0, "names", error))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&names), size + 1);
}

bool
apply_truncate_all(const ApplyContext *c, GError **error)
{
    int is_file = guestfs_is_file(c->g, c->op->path);
    g_autoptr(GBytes) names = NULL;
    const char *at, *end;
    gsize size;

    if (is_file != 0)
        return is_file == 1 ? apply_truncate(c, error) : apply_fail(c, error);
    names = find(c, error);
    if (names == NULL)
        return false;
    at = g_bytes_get_data(names, &size);
    end = at + size;
    for (; at < end && at[0] != '\0'; at += strlen(at) + 1) {
        g_autofree char *path = g_build_filename(c->op->path, at, NULL);

        is_file = guestfs_is_file(c->g, path);
        if (is_file == -1 || (is_file == 1 && guestfs_truncate(c->g, path) == -1))
            return apply_fail(c, error);
    }
    return true;
}

/* ---- edit ---- */

/* As virt-edit has it: the expression works on $_, line by line, and $lineno counts them. All is read before any is written. */
static const char PERL[] = "my $file = shift; my $new = ''; $lineno = 0;\n"
                           "open(my $in, '<', $file) or die \"$file: $!\\n\";\n"
                           "while (<$in>) { $lineno++;\n"
                           "%s\n"
                           "; $new .= $_; }\n"
                           "close($in); open(my $out, '>', $file) or die \"$file: $!\\n\";\n"
                           "(print $out $new and close($out)) or die \"$file: $!\\n\";\n";

static bool
edit_by_perl(const ApplyContext *c, GError **error)
{
    g_autofree char *program = g_strdup_printf(PERL, c->op->text);
    const char *argv[] = {"perl", "-e", program, "--", c->op->path, NULL};
    g_autofree char *output = guestfs_command(c->g, (char *const *)argv);

    return output != NULL || apply_fail(c, error);
}

bool
apply_edit(const ApplyContext *c, GError **error)
{
    int is_file = guestfs_is_file_opts(c->g, c->op->path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);
    int has_perl = is_file == 1 ? guestfs_exists(c->g, "/usr/bin/perl") : 0;
    g_autofree char *old = NULL, *new = NULL;

    if (is_file == -1 || has_perl == -1)
        return apply_fail(c, error);
    if (is_file == 0)
        return error_set(error, "%s: cannot %s: the guest has no file %s", c->label, c->op->what,
                         c->op->path);
    if (has_perl == 1)
        return edit_by_perl(c, error);
    old = appliance_read(c->g, c->op->path, c->label, error);
    if (old == NULL)
        return false;
    new = edit_text(old, c->op->text, error);
    if (new == NULL) {
        g_prefix_error(error, "%s: cannot %s %s, where the guest has no perl of its own: ", c->label,
                       c->op->what, c->op->path);
        return false;
    }
    return apply_write_text(c, c->op->path, new, error);
}
