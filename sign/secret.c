// SPDX-License-Identifier: Apache-2.0
/* Where passphrases come from. A home's file "passphrase-from" names the place: "file PATH" or "credential NAME". */
#include "sign/secret.h"

#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_NAME "passphrase-from"
#define MAX_NOTE 4200u       /* a path and a word */
#define MAX_PASSPHRASE 1024u /* gpg-agent takes 255 bytes */

void
sign_passphrase_wipe(Passphrase passphrase)
{
    if (passphrase != NULL)
        explicit_bzero(passphrase, strlen(passphrase));
    g_free(passphrase);
}

bool
sign_secret_is_given(const SignSecret *secret)
{
    return secret != NULL && (secret->file != NULL || secret->credential != NULL);
}

static bool
check_private(int fd, const char *path, GError **error)
{
    struct stat info;

    if (fstat(fd, &info) < 0)
        return error_set_errno(error, "%s", path);
    if (!S_ISREG(info.st_mode))
        return error_set(error, "%s: is no file", path);
    if ((info.st_mode & 077) != 0 || (info.st_uid != geteuid() && info.st_uid != 0))
        return error_set(error, "%s: others may read this passphrase; make it yours alone (chmod 600)", path);
    return true;
}

/* @is_credential: systemd's folder keeps others out; its files may carry an access list that looks like group rights. */
static bool
read_line(const char *path, bool is_credential, Passphrase *out_passphrase, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char data[MAX_PASSPHRASE + 1];
    ssize_t size;

    if (fd < 0)
        return error_set_errno(error, "%s: cannot read the passphrase", path);
    if (!is_credential && !check_private(fd, path, error))
        return false;
    size = fd_pread(fd, data, MAX_PASSPHRASE, 0, path, error);
    if (size < 0)
        return false;
    data[size] = '\0';
    data[strcspn(data, "\r\n")] = '\0';
    if (data[0] == '\0')
        return error_set(error, "%s: holds no passphrase", path);
    *out_passphrase = g_strdup(data);
    explicit_bzero(data, sizeof data);
    return true;
}

static bool
read_credential(const char *name, Passphrase *out_passphrase, GError **error)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *path = NULL;

    if (!file_is_name(name))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not a name of a credential", name);
    if (folder == NULL)
        return error_set(
            error, "credential '%s': systemd has passed none (see LoadCredential= in systemd.exec(5))", name);
    path = g_build_filename(folder, name, NULL);
    return read_line(path, true, out_passphrase, error);
}

static bool
read_secret(const SignSecret *secret, Passphrase *out_passphrase, GError **error)
{
    return secret->file != NULL ? read_line(secret->file, false, out_passphrase, error)
                                : read_credential(secret->credential, out_passphrase, error);
}

bool
sign_secret_read(const char *home, const SignSecret *secret, Passphrase *out_passphrase, GError **error)
{
    g_autofree char *path = g_build_filename(home, NOTE_NAME, NULL), *note = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) problem = NULL;
    SignSecret remembered = {0};

    *out_passphrase = NULL;
    if (sign_secret_is_given(secret))
        return read_secret(secret, out_passphrase, error);
    bytes = file_read(path, MAX_NOTE, &problem);
    if (bytes == NULL && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    note = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    note[strcspn(note, "\n")] = '\0';
    if (g_str_has_prefix(note, "file "))
        remembered.file = note + strlen("file ");
    else if (g_str_has_prefix(note, "credential "))
        remembered.credential = note + strlen("credential ");
    else
        return error_set(error, "%s: says neither 'file PATH' nor 'credential NAME'", path);
    return read_secret(&remembered, out_passphrase, error);
}

bool
sign_secret_remember(const char *home, const SignSecret *secret, GError **error)
{
    g_autofree char *path = g_build_filename(home, NOTE_NAME, NULL);
    g_autofree char *file = secret->file != NULL ? g_canonicalize_filename(secret->file, NULL) : NULL;
    g_autofree char *note = file != NULL ? g_strdup_printf("file %s\n", file)
                                         : g_strdup_printf("credential %s\n", secret->credential);

    return file_write_atomic(path, note, strlen(note), 0600, error);
}

bool
sign_secret_copy(const char *before, const char *home, GError **error)
{
    g_autofree char *from = g_build_filename(before, NOTE_NAME, NULL),
                    *to = g_build_filename(home, NOTE_NAME, NULL);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = file_read(from, MAX_NOTE, &problem);

    if (bytes == NULL && g_error_matches(problem, BASE_ERROR, BASE_ERROR_NOT_FOUND))
        return true;
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    return file_write_atomic(to, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0600, error);
}
