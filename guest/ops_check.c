// SPDX-License-Identifier: Apache-2.0
/*
 * What can be told of an operation without its guest: whether its argument can be right at all, and what the files of this host
 * hold that it names. So wrong usage is found out before any appliance starts.
 */
#include "guest/check.h"
#include "guest/ops.h"
#include "guest/packages.h"

#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SCRIPT_BYTES (1u << 20) /* libguestfs's own limit for one message is 4 MiB */
#define MAX_KEYS_BYTES (64u << 10)  /* hundreds of keys */
#define MAX_SECRET_BYTES 4096u      /* of a password's file, of which the first line counts */
#define MAX_ID 0x7fffffffu
#define MAX_PERMISSIONS 07777u

static bool
usage(GError **error, const char *text)
{
    return error_set_code(error, BASE_ERROR_USAGE, "%s", text);
}

/* ---- what files of this host hold ---- */

static char *
read_text(const char *path, size_t max_bytes, GError **error)
{
    g_autoptr(GBytes) bytes = file_read(path, max_bytes, error);
    gsize size;
    const char *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;

    if (bytes == NULL)
        return NULL;
    if (size > 0 && memchr(data, '\0', size) != NULL) {
        error_set_code(error, BASE_ERROR_USAGE, "%s: holds a zero byte, so it is no text", path);
        return NULL;
    }
    return size > 0 ? g_strndup(data, size) : g_strdup("");
}

/* A pipe, as the shell's <(...) gives it, is private by itself. */
static bool
check_private(int fd, const char *path, GError **error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set_errno(error, "%s", path);
    if (S_ISREG(status.st_mode) &&
        ((status.st_mode & 077) != 0 || (status.st_uid != geteuid() && status.st_uid != 0)))
        return error_set(error,
                         "%s: a password must be in a file of one's own that nobody else can read: chmod 600",
                         path);
    return true;
}

/* The first line. */
static char *
read_secret(const char *path, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_CLOEXEC);
    char buffer[MAX_SECRET_BYTES + 1] = {0};
    size_t used = 0;
    ssize_t n = 1;
    char *secret;

    if (fd < 0) {
        error_set_errno(error, "%s", path);
        return NULL;
    }
    if (!check_private(fd, path, error))
        return NULL;
    while (used < MAX_SECRET_BYTES && n != 0 && memchr(buffer, '\n', used) == NULL) {
        n = read(fd, buffer + used, MAX_SECRET_BYTES - used);
        if (n < 0 && errno != EINTR) {
            error_set_errno(error, "%s: cannot read", path);
            return NULL;
        }
        used += n > 0 ? (size_t)n : 0;
    }
    secret = g_strndup(buffer, strcspn(buffer, "\r\n"));
    explicit_bzero(buffer, sizeof buffer);
    return secret;
}

/* ---- passwords and keys ---- */

static bool
is_selector(const char *text, const char *name, const char **out_rest)
{
    bool is_match = g_str_has_prefix(text, name) && text[strlen(name)] == ':';

    if (is_match)
        *out_rest = text + strlen(name) + 1;
    return is_match;
}

/* [locked:]file:PATH, password:TEXT, env:NAME, random, disabled, or locked alone */
static bool
check_selector(GuestOp *op, const char *user, const char *selector, GError **error)
{
    const char *rest = NULL;

    if (is_selector(selector, "locked", &rest) || strcmp(selector, "locked") == 0) {
        op->is_locked = true;
        selector = rest != NULL ? rest : "disabled";
    }
    if (strcmp(selector, "random") == 0) {
        op->password = OP_PASSWORD_RANDOM;
        return true;
    }
    if (strcmp(selector, "disabled") == 0) {
        op->password = OP_PASSWORD_DISABLED;
        return true;
    }
    if (is_selector(selector, "file", &rest))
        op->content = read_secret(rest, error);
    else if (is_selector(selector, "password", &rest))
        op->content = g_strdup(rest);
    else if (is_selector(selector, "env", &rest) && (op->content = g_strdup(g_getenv(rest))) == NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "the environment has no variable '%s'", rest);
    else if (op->content == NULL)
        return usage(error, "a password is given as file:PATH, env:NAME, password:TEXT, random, disabled, "
                            "locked, or one of these after locked:");
    return op->content != NULL && check_password(user, op->content, error);
}

/* The public key of this user that was made or changed last. */
static char *
newest_key(GError **error)
{
    g_autofree char *folder = g_build_filename(g_get_home_dir(), ".ssh", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    char *newest = NULL;
    struct timespec newest_time = {0};

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct stat status;

        if (!g_str_has_prefix(name, "id") || !g_str_has_suffix(name, ".pub") || stat(path, &status) < 0)
            continue;
        if (newest != NULL &&
            (status.st_mtim.tv_sec < newest_time.tv_sec ||
             (status.st_mtim.tv_sec == newest_time.tv_sec && status.st_mtim.tv_nsec <= newest_time.tv_nsec)))
            continue;
        newest_time = status.st_mtim;
        g_free(newest);
        newest = g_steal_pointer(&path);
    }
    if (newest == NULL)
        error_set_code(error, BASE_ERROR_USAGE,
                       "%s has no public key (id*.pub); make one with ssh-keygen, or name a file: "
                       "USER:file:PATH",
                       folder);
    return newest;
}

static bool
check_keys(GuestOp *op, const char *source, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(op->content, "\n", -1);
    g_autoptr(GString) keys = g_string_new(NULL);

    for (unsigned i = 0; lines[i] != NULL; i++) {
        const char *line = g_strstrip(lines[i]);

        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (!check_key(line, error))
            return g_prefix_error(error, "%s: ", source), false;
        g_string_append_printf(keys, "%s%s", keys->len > 0 ? "\n" : "", line);
    }
    if (keys->len == 0)
        return error_set_code(error, BASE_ERROR_USAGE, "%s: holds no SSH public key", source);
    g_free(op->content);
    op->content = g_string_free(g_steal_pointer(&keys), FALSE);
    return true;
}

static bool
check_ssh_inject(GuestOp *op, GError **error)
{
    const char *rest = NULL;
    g_autofree char *newest = NULL;

    if (!check_user(op->first, error))
        return false;
    if (op->second != NULL && is_selector(op->second, "string", &rest)) {
        op->content = g_strdup(rest);
        return check_keys(op, "the given text", error);
    }
    if (op->second == NULL)
        rest = newest = newest_key(error);
    else if (!is_selector(op->second, "file", &rest))
        return usage(error, "a key is given as USER:file:PATH or USER:string:KEY");
    op->content = rest != NULL ? read_text(rest, MAX_KEYS_BYTES, error) : NULL;
    return op->content != NULL && check_keys(op, rest, error);
}

/* ---- paths of this host ---- */

static bool
check_local(const char *path, mode_t kind, const char *what, GError **error)
{
    struct stat status;

    if (stat(path, &status) < 0 || (kind == S_IFREG && access(path, R_OK) < 0))
        return error_set_errno(error, "%s", path);
    return kind == 0 || (status.st_mode & S_IFMT) == kind ||
           error_set_code(error, BASE_ERROR_USAGE, "%s: is not %s", path, what);
}

/* ---- each operation ---- */

/* Octal alone: virt-customize takes 644 as a decimal number, which nobody ever means. */
static bool
check_permissions(GuestOp *op, GError **error)
{
    if (op->first[0] != '0')
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': permissions are octal and begin with 0: 0644",
                              op->first);
    return check_number(op->first, 8, MAX_PERMISSIONS, &op->number[0], error);
}

static bool
check_timezone(const char *zone, GError **error)
{
    if (zone[0] == '/' || strstr(zone, "..") != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': is not a time zone", zone);
    return check_word("a time zone", zone, "/_+-", error);
}

static bool
check_delete(const char *pattern, GError **error)
{
    return check_guest_path(pattern, error) &&
           (!check_is_root(pattern) || usage(error, "the root folder of the guest cannot be deleted"));
}

static bool
check_two_paths(const GuestOp *op, GError **error)
{
    return check_guest_path(op->first, error) && check_guest_path(op->second, error);
}

static bool
check_links(const GuestOp *op, GError **error)
{
    for (unsigned i = 0; op->items[i] != NULL; i++)
        if (!check_guest_path(op->items[i], error))
            return false;
    return true;
}

static bool
check_line(const GuestOp *op, GError **error)
{
    if (strpbrk(op->second, "\r\n") != NULL)
        return usage(error, "the text must be one line");
    return check_guest_path(op->first, error);
}

static bool
check_owner(GuestOp *op, GError **error)
{
    return check_number(op->first, 10, MAX_ID, &op->number[0], error) &&
           check_number(op->second, 10, MAX_ID, &op->number[1], error) &&
           check_guest_path(op->items[0], error);
}

static bool
check_script(GuestOp *op, GError **error)
{
    op->content = read_text(op->first, MAX_SCRIPT_BYTES, error);
    return op->content != NULL;
}

bool
op_check(GuestOp *op, GError **error)
{
    switch (op->row->kind) {
    case OP_APPEND_LINE:
        return check_line(op, error);
    case OP_CHMOD:
        return check_permissions(op, error) && check_guest_path(op->second, error);
    case OP_CHOWN:
        return check_owner(op, error);
    case OP_COPY:
    case OP_MOVE:
        return check_two_paths(op, error);
    case OP_COPY_IN:
        return check_guest_path(op->second, error) && check_local(op->first, 0, NULL, error);
    case OP_COPY_OUT:
        return check_guest_path(op->first, error) && check_local(op->second, S_IFDIR, "a folder", error);
    case OP_TAR_IN:
    case OP_UPLOAD:
        return check_guest_path(op->second, error) && check_local(op->first, S_IFREG, "a file", error);
    case OP_DELETE:
        return check_delete(op->first, error);
    case OP_EDIT:
        return check_guest_path(op->first, error) &&
               (op->second[0] != '\0' || usage(error, "the expression is empty"));
    case OP_MKDIR:
    case OP_SCRUB:
    case OP_TOUCH:
    case OP_TRUNCATE:
    case OP_TRUNCATE_RECURSIVE:
    case OP_WRITE:
        return check_guest_path(op->first, error);
    case OP_FIRSTBOOT:
    case OP_RUN:
        return check_script(op, error);
    case OP_HOSTNAME:
        return check_hostname(op->first, error);
    case OP_KEYBOARD:
        return check_word("a keyboard layout", op->first, "_-.,", error);
    case OP_LINK:
        return check_links(op, error);
    case OP_PASSWORD:
        return check_user(op->first, error) && check_selector(op, op->first, op->second, error);
    case OP_ROOT_PASSWORD:
        return check_selector(op, "root", op->first, error);
    case OP_SSH_INJECT:
        return check_ssh_inject(op, error);
    case OP_TIMEZONE:
        return check_timezone(op->first, error);
    case OP_FIRSTBOOT_INSTALL:
    case OP_INSTALL:
    case OP_UNINSTALL:
        return packages_check(op->items, error);
    case OP_DISABLE_CLOUD_INIT:
    case OP_DROP_HOST_KEYS:
    case OP_FIRSTBOOT_COMMAND:
    case OP_RUN_COMMAND:
    case OP_UPDATE:
        return true;
    }
    g_assert_not_reached();
}
