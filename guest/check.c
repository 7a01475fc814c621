// SPDX-License-Identifier: Apache-2.0
/* What can be told of names, keys and paths before any appliance starts. */
#include "guest/check.h"

#include "guest/password.h"
#include "guest/text.h"

#include <string.h>

#define HOSTNAME_MAX 64u    /* Linux's HOST_NAME_MAX: sethostname(2) refuses more, whatever RFC 1123 allows */
#define LABEL_MAX 63u       /* RFC 1123, 2.1 with RFC 1035, 2.3.4 */
#define KEY_LINE_MAX 16384u /* a 16384-bit RSA key has 2800 characters; sshd reads lines of any length */
#define USER_MAX 32u        /* useradd(8) */

bool
check_hostname(const char *name, GError **error)
{
    g_auto(GStrv) labels = g_strsplit(name, ".", -1);

    if (name[0] == '\0' || strlen(name) > HOSTNAME_MAX)
        return error_set_code(error, BASE_ERROR_USAGE, "host name '%s': must have 1 to %u characters", name,
                              HOSTNAME_MAX);
    for (unsigned i = 0; labels[i] != NULL; i++) {
        size_t length = strlen(labels[i]);

        if (length == 0 || length > LABEL_MAX || labels[i][0] == '-' || labels[i][length - 1] == '-' ||
            strspn(labels[i], G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-") != length)
            return error_set_code(
                error, BASE_ERROR_USAGE,
                "host name '%s': each part must be 1 to %u letters, digits and inner hyphens", name,
                LABEL_MAX);
    }
    return true;
}

bool
check_key(const char *line, GError **error)
{
    g_autofree char *blob = NULL;

    for (const char *at = line; *at != '\0'; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return error_set_code(error, BASE_ERROR_USAGE, "SSH key '%.40s': holds a control character",
                                  line);
    blob = text_key_blob(line);
    if (blob == NULL || strlen(line) > KEY_LINE_MAX)
        return error_set_code(error, BASE_ERROR_USAGE, "SSH key '%.40s': is not a public key line", line);
    return true;
}

bool
check_user(const char *name, GError **error)
{
    size_t length = strlen(name);

    if (length == 0 || length > USER_MAX || name[0] == '-' ||
        strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_.-") != length)
        return error_set_code(error, BASE_ERROR_USAGE, "user '%s': is not a user name", name);
    return true;
}

bool
check_password(const char *user, const char *password, GError **error)
{
    if (password[0] == '\0' || strlen(password) > PASSWORD_MAX_BYTES || strpbrk(password, "\r\n") != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "%s password: must be one line of 1 to %u bytes", user,
                              PASSWORD_MAX_BYTES);
    return true;
}

bool
check_guest_path(const char *path, GError **error)
{
    return path[0] == '/' ||
           error_set_code(error, BASE_ERROR_USAGE, "'%s': a path in the guest must begin with '/'", path);
}

bool
check_is_root(const char *path)
{
    g_autofree char *plain = g_canonicalize_filename(path, "/");

    return plain[strspn(plain, "/")] == '\0'; /* "//" stays what it is: POSIX lets it mean something else */
}

bool
check_word(const char *what, const char *word, const char *others, GError **error)
{
    size_t i = 0;

    while (word[i] != '\0' && (g_ascii_isalnum(word[i]) || strchr(others, word[i]) != NULL))
        i++;
    return (i > 0 && word[i] == '\0') ||
           error_set_code(error, BASE_ERROR_USAGE, "'%s': is not %s", word, what);
}

bool
check_number(const char *text, unsigned base, unsigned max, unsigned *out_number, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, base, 0, max, &number, NULL))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': is not a number that can be used here", text);
    *out_number = (unsigned)number;
    return true;
}
