// SPDX-License-Identifier: Apache-2.0
#include "guest/ops.h"

#include "base/file.h"

#include <string.h>

#define MAX_COMMAND_BYTES (1u << 20) /* of a file of commands */

static const OpRow OPS[] = {
    {"append-line", OP_APPEND_LINE, OP_PAIR, "FILE:LINE", "append a line", "Append a line to a file"},
    {"chmod", OP_CHMOD, OP_PAIR, "PERMISSIONS:FILE", "change the permissions",
     "Change the permissions of a file"},
    {"chown", OP_CHOWN, OP_THREE, "UID:GID:PATH", "change the owner", "Change the owner of a file"},
    {"copy", OP_COPY, OP_PAIR, "SOURCE:DEST", "copy", "Copy files inside the guest"},
    {"copy-in", OP_COPY_IN, OP_PAIR, "LOCALPATH:REMOTEDIR", "copy in",
     "Copy files or folders of this host into a folder of the guest"},
    {"copy-out", OP_COPY_OUT, OP_PAIR, "REMOTEPATH:LOCALDIR", "copy out",
     "Copy files or folders of the guest into a folder of this host"},
    {"delete", OP_DELETE, OP_TEXT, "PATH", "delete",
     "Delete what matches the pattern, folders with all they hold"},
    {"disable-cloud-init", OP_DISABLE_CLOUD_INIT, OP_NOTHING, NULL, "disable cloud-init",
     "Keep cloud-init from running"},
    {"drop-host-keys", OP_DROP_HOST_KEYS, OP_NOTHING, NULL, "drop the SSH host keys",
     "Remove the SSH host keys; the next boot makes new ones"},
    {"edit", OP_EDIT, OP_PAIR, "FILE:EXPRESSION", "edit", "Edit a file by a Perl expression"},
    {"firstboot", OP_FIRSTBOOT, OP_TEXT, "SCRIPT", "add a first-boot script",
     "Run a script of this host at the first boot"},
    {"firstboot-command", OP_FIRSTBOOT_COMMAND, OP_TEXT, "CMD+ARGS", "add a first-boot command",
     "Run a command at the first boot"},
    {"firstboot-install", OP_FIRSTBOOT_INSTALL, OP_LIST, "PKG,PKG..", "add a first-boot installation",
     "Install packages at the first boot"},
    {"hostname", OP_HOSTNAME, OP_TEXT, "HOSTNAME", "set the host name", "Set the host name"},
    {"install", OP_INSTALL, OP_LIST, "PKG,PKG..", "install packages", "Install packages"},
    {"keyboard", OP_KEYBOARD, OP_TEXT, "LAYOUT", "set the keyboard layout",
     "Set the keyboard layout of the console"},
    {"link", OP_LINK, OP_COLONS, "TARGET:LINK[:LINK..]", "make links", "Make symbolic links"},
    {"mkdir", OP_MKDIR, OP_TEXT, "DIR", "make a folder", "Make a folder and those above it"},
    {"move", OP_MOVE, OP_PAIR, "SOURCE:DEST", "move", "Move files inside the guest"},
    {"password", OP_PASSWORD, OP_PAIR, "USER:SELECTOR", "set a password", "Set a user's password"},
    {"root-password", OP_ROOT_PASSWORD, OP_TEXT, "SELECTOR", "set the root password", "Set root's password"},
    {"run", OP_RUN, OP_TEXT, "SCRIPT", "run a script", "Run a script of this host in the guest"},
    {"run-command", OP_RUN_COMMAND, OP_TEXT, "CMD+ARGS", "run a command", "Run a command in the guest"},
    {"scrub", OP_SCRUB, OP_TEXT, "FILE", "scrub a file", "Overwrite a file several times and delete it"},
    {"ssh-inject", OP_SSH_INJECT, OP_OPTIONAL, "USER[:SELECTOR]", "add SSH keys",
     "Let a user log in with an SSH key"},
    {"tar-in", OP_TAR_IN, OP_PAIR, "TARFILE:REMOTEDIR", "unpack an archive",
     "Unpack an archive of this host into a folder of the guest"},
    {"timezone", OP_TIMEZONE, OP_TEXT, "TIMEZONE", "set the time zone", "Set the time zone"},
    {"touch", OP_TOUCH, OP_TEXT, "FILE", "touch a file", "Make a file, or make it new"},
    {"truncate", OP_TRUNCATE, OP_TEXT, "FILE", "truncate a file", "Make a file empty"},
    {"truncate-recursive", OP_TRUNCATE_RECURSIVE, OP_TEXT, "PATH", "truncate files",
     "Make all files below a path empty"},
    {"uninstall", OP_UNINSTALL, OP_LIST, "PKG,PKG..", "uninstall packages", "Uninstall packages"},
    {"update", OP_UPDATE, OP_NOTHING, NULL, "update packages", "Update all packages"},
    {"upload", OP_UPLOAD, OP_PAIR, "FILE:DEST", "upload a file",
     "Copy a file of this host to a file or folder of the guest"},
    {"write", OP_WRITE, OP_PAIR, "FILE:CONTENT", "write a file", "Write text to a file"},
    {0},
};

const OpRow *
op_rows(void)
{
    return OPS;
}

/* Any of these may be a password. */
static void
wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    g_free(text);
}

static void
op_free(GuestOp *op)
{
    wipe(op->first); /* the selector of root's password */
    wipe(op->second);
    g_strfreev(op->items);
    wipe(op->content);
    g_free(op);
}

GuestOps *
guest_ops_new(void)
{
    GuestOps *ops = g_new0(GuestOps, 1);

    ops->ops = g_ptr_array_new_with_free_func((GDestroyNotify)op_free);
    return ops;
}

void
guest_ops_free(GuestOps *ops)
{
    if (ops == NULL)
        return;
    g_ptr_array_unref(ops->ops);
    g_free(ops);
}

bool
guest_ops_is_empty(const GuestOps *ops)
{
    return ops == NULL || ops->ops->len == 0;
}

static const OpRow *
find_row(const char *name)
{
    for (const OpRow *row = OPS; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static bool
wrong(const OpRow *row, GError **error)
{
    if (row->argument == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "--%s: takes no argument", row->name);
    return error_set_code(error, BASE_ERROR_USAGE, "--%s: %s is expected", row->name, row->argument);
}

/* @text up to the next colon, and what follows into @out_rest: NULL where there is none */
static char *
cut(const char *text, const char **out_rest)
{
    const char *colon = strchr(text, ':');

    *out_rest = colon != NULL ? colon + 1 : NULL;
    return colon != NULL ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
}

static bool
take_apart(GuestOp *op, const char *argument, GError **error)
{
    const char *rest = NULL;

    if ((argument == NULL) != (op->row->syntax == OP_NOTHING))
        return wrong(op->row, error);
    switch (op->row->syntax) {
    case OP_NOTHING:
        return true;
    case OP_TEXT:
        op->first = g_strdup(argument);
        break;
    case OP_PAIR:
    case OP_OPTIONAL:
        op->first = cut(argument, &rest);
        op->second = g_strdup(rest);
        if (rest == NULL && op->row->syntax == OP_PAIR)
            return wrong(op->row, error);
        break;
    case OP_LIST:
        op->items = g_strsplit(argument, ",", -1);
        for (unsigned i = 0; op->items[i] != NULL; i++)
            if (op->items[i][0] == '\0')
                return wrong(op->row, error);
        return op->items[0] != NULL || wrong(op->row, error);
    case OP_COLONS:
        op->first = cut(argument, &rest);
        if (rest == NULL)
            return wrong(op->row, error);
        op->items = g_strsplit(rest, ":", -1);
        break;
    case OP_THREE:
        op->first = cut(argument, &rest);
        op->second = rest != NULL ? cut(rest, &rest) : NULL;
        if (rest == NULL)
            return wrong(op->row, error);
        op->items = g_new0(char *, 2);
        op->items[0] = g_strdup(rest);
        break;
    }
    return op->first[0] != '\0' || wrong(op->row, error);
}

bool
guest_ops_add(GuestOps *ops, const char *option, const char *argument, GError **error)
{
    const OpRow *row = find_row(option);
    GuestOp *op;

    if (row == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "'%s' is not an operation on a guest", option);
    op = g_new0(GuestOp, 1);
    op->row = row;
    g_ptr_array_add(ops->ops, op);
    if (!take_apart(op, argument, error))
        return false;
    if (op_check(op, error))
        return true;
    g_prefix_error(error, "--%s: ", option);
    return false;
}

/* "name argument": the argument is the rest of the line. @line is changed. */
static bool
add_command(GuestOps *ops, char *line, GError **error)
{
    size_t length = strcspn(line, " \t");
    char *argument = line[length] != '\0' ? g_strchug(line + length + 1) : NULL;

    line[length] = '\0';
    if (strcmp(line, "commands-from-file") == 0)
        return error_set_code(error, BASE_ERROR_USAGE, "a file of commands cannot name another one");
    return guest_ops_add(ops, line, argument, error);
}

bool
guest_ops_add_file(GuestOps *ops, const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = file_read(path, MAX_COMMAND_BYTES, error);
    g_autofree char *text =
        bytes != NULL ? g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)) : NULL;
    g_auto(GStrv) lines = text != NULL ? g_strsplit(text, "\n", -1) : NULL;
    g_autoptr(GString) command = g_string_new(NULL);

    for (unsigned i = 0; lines != NULL && lines[i] != NULL; i++) {
        char *line = g_strchug(lines[i]);
        size_t length = strlen(line);
        bool goes_on = length > 0 && line[length - 1] == '\\';

        if (command->len == 0 && line[0] == '#')
            continue;
        g_string_append_len(command, line, (gssize)(length - goes_on));
        if (goes_on && lines[i + 1] != NULL)
            continue;
        if (command->len > 0 && !add_command(ops, command->str, error)) {
            g_prefix_error(error, "%s: line %u: ", path, i + 1);
            return false;
        }
        g_string_truncate(command, 0);
    }
    return lines != NULL;
}
