// SPDX-License-Identifier: Apache-2.0
/*
 * Records of a deploy's journal and their undoing. Nothing is removed by name alone: a staging folder's name is
 * random, a disk must be the very file that was recorded, a domain has the UUID that we chose.
 */
#include "deploy/undo.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define STAGING_PREFIX ".virt-depot-"

/* (transfer full) device, inode and time of birth of a regular file: an inode number alone is used again once a file
 * is gone. NULL with errno set. */
static char *
file_identity(const char *path)
{
    struct statx st;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
        return NULL;
    return g_strdup_printf("%u:%u:%" G_GUINT64_FORMAT ":%" G_GINT64_FORMAT ".%u", st.stx_dev_major,
                           st.stx_dev_minor, (guint64)st.stx_ino, (gint64)st.stx_btime.tv_sec,
                           st.stx_btime.tv_nsec);
}

void
deploy_undo_record_folder(Journal *journal, const char *path)
{
    journal_record(journal, "folder", path);
}

bool
deploy_undo_record_move(Journal *journal, const char *from, const char *to, GError **error)
{
    g_autofree char *identity = file_identity(from);
    g_autofree char *argument = NULL;

    if (identity == NULL)
        return error_set_errno(error, "%s", from);
    argument = g_strconcat(identity, " ", to, NULL);
    journal_record(journal, "file", argument);
    return true;
}

void
deploy_undo_record_domain(Journal *journal, const char *uuid, const char *uri)
{
    g_autofree char *argument = g_strconcat(uuid, " ", uri, NULL);

    journal_record(journal, "domain", argument);
}

static bool
undo_folder(const char *path, GError **error)
{
    g_autofree char *name = g_path_get_basename(path);

    if (!g_path_is_absolute(path) || !g_str_has_prefix(name, STAGING_PREFIX))
        return error_set(error, "%s: not a staging folder; left alone", path);
    return file_remove_tree(path, error);
}

static bool
undo_file(const char *identity, const char *path, GError **error)
{
    g_autofree char *now = file_identity(path);

    if (now == NULL)
        return errno == ENOENT || error_set_errno(error, "%s", path);
    return strcmp(now, identity) != 0 || file_remove(path, error); /* somebody else's file is none of ours */
}

static bool
undo_domain(const char *uuid, const char *uri, const Undo *undo, GError **error)
{
    g_autoptr(Host) own = NULL;

    if (undo->host != NULL && g_strcmp0(undo->uri, uri) == 0)
        return deploy_host_remove(undo->host, uuid, error);
    own = deploy_host_open(uri, error);
    return own != NULL && deploy_host_remove(own, uuid, error);
}

bool
deploy_undo_action(const char *action, const char *argument, void *context, GError **error)
{
    const Undo *undo = context;
    g_auto(GStrv) parts = NULL;

    if (strcmp(action, "folder") == 0)
        return undo_folder(argument, error);
    parts = g_strsplit(argument, " ", 2);
    if (g_strv_length(parts) == 2 && strcmp(action, "file") == 0)
        return undo_file(parts[0], parts[1], error);
    if (g_strv_length(parts) == 2 && strcmp(action, "domain") == 0)
        return undo_domain(parts[0], parts[1], undo, error);
    return error_set(error, "journal: cannot undo '%s %s'", action, argument);
}
