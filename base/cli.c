// SPDX-License-Identifier: Apache-2.0
/* Command-line helpers: sizes, tables, safe text, notes, secrets. */
#include "base/cli.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_AGE_COUNT 1000000 /* of any unit: as weeks still far from overflow */
#define SECRET_MAX_BYTES 4096

static bool is_quiet; /* set once by main() before any verb runs */

void
cli_set_quiet(bool quiet)
{
    is_quiet = quiet;
}

static void say(const char *prefix, const char *format, va_list args) G_GNUC_PRINTF(2, 0);

static void
say(const char *prefix, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_autofree char *safe = cli_safe(text);

    fprintf(stderr, "%s%s\n", prefix, safe);
}

void
cli_warn(const char *format, ...)
{
    g_autofree char *prefix = g_strdup_printf("%s: warning: ", g_get_prgname());
    va_list args;

    va_start(args, format);
    say(prefix, format, args);
    va_end(args);
}

void
cli_note(const char *format, ...)
{
    va_list args;

    if (is_quiet)
        return;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

bool
cli_parse_size(const char *text, uint64_t *out_bytes, GError **error)
{
    static const char suffixes[] = "bkmgtp";
    char *end = NULL;
    double value;
    const char *suffix;
    double bytes;

    errno = 0;
    value = g_ascii_isdigit(text[0]) ? g_ascii_strtod(text, &end) : 0;
    suffix = end != NULL && end[0] != '\0' ? strchr(suffixes, g_ascii_tolower(end[0])) : suffixes;
    if (end == NULL || errno != 0 || suffix == NULL || (end[0] != '\0' && end[1] != '\0') ||
        strpbrk(text, "xXeEnN") != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': not a size such as 8G, 512M or 1048576", text);
    bytes = value * (double)(G_GUINT64_CONSTANT(1) << (10 * (unsigned)(suffix - suffixes)));
    if (bytes < 1 || bytes > (double)(G_GUINT64_CONSTANT(1) << 62))
        return error_set_code(error, BASE_ERROR_USAGE, "'%s': out of range", text);
    *out_bytes = (uint64_t)bytes;
    return true;
}

bool
cli_parse_age(const char *text, int64_t *out_seconds, GError **error)
{
    static const struct {
        char suffix;
        int64_t seconds;
    } UNITS[] = {{'s', 1}, {'m', 60}, {'h', 60 * 60}, {'d', 24 * 60 * 60}, {'w', 7 * 24 * 60 * 60}};
    size_t digits = strspn(text, "0123456789");
    g_autofree char *number = g_strndup(text, digits);
    uint64_t count;

    if (strcmp(text, "0") == 0) {
        *out_seconds = 0;
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(UNITS); i++) {
        if (text[digits] == UNITS[i].suffix && text[digits + 1] == '\0' &&
            g_ascii_string_to_unsigned(number, 10, 0, MAX_AGE_COUNT, &count, NULL)) {
            *out_seconds = (int64_t)count * UNITS[i].seconds;
            return true;
        }
    }
    return error_set_code(error, BASE_ERROR_USAGE, "'%s': not an age such as 30d, 12h or 2w", text);
}

char *
cli_format_size(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned unit = 0;

    while (value >= 1024 && unit + 1 < G_N_ELEMENTS(units)) {
        value /= 1024;
        unit++;
    }
    return g_strdup_printf(unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

char *
cli_format_time(int64_t unix_seconds)
{
    g_autoptr(GDateTime) time = unix_seconds != 0 ? g_date_time_new_from_unix_utc(unix_seconds) : NULL;

    return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("-");
}

char *
cli_safe(const char *text)
{
    GString *safe = g_string_new(NULL);
    const char *at = text != NULL ? text : "-";

    while (*at != '\0') {
        gunichar c = g_utf8_get_char_validated(at, -1);
        bool is_valid = c != (gunichar)-1 && c != (gunichar)-2;

        if (is_valid && (g_unichar_isprint(c) || c == '\t')) {
            g_string_append_unichar(safe, c);
            at = g_utf8_next_char(at);
        } else {
            g_string_append_printf(safe, "\\x%02x", (unsigned)(guchar)*at++);
        }
    }
    return g_string_free(safe, FALSE);
}

static void
print_row(const char *const *cells, const size_t *widths, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        size_t used = (size_t)g_utf8_strlen(cells[i], -1);

        fputs(cells[i], stdout);
        for (; i + 1 < columns && used < widths[i] + 2; used++)
            putchar(' ');
    }
    putchar('\n');
}

void
cli_print_table(const char *const *heading, GPtrArray *rows)
{
    size_t columns = g_strv_length((char **)heading);
    g_autofree size_t *widths = g_new0(size_t, columns);
    g_autoptr(GPtrArray) safe = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

    for (guint r = 0; r < rows->len + 1; r++) {
        const char *const *from = r == 0 ? heading : g_ptr_array_index(rows, r - 1);
        char **row = g_new0(char *, columns + 1);

        for (size_t i = 0; i < columns; i++) {
            row[i] = cli_safe(from[i]);
            widths[i] = MAX(widths[i], (size_t)g_utf8_strlen(row[i], -1));
        }
        g_ptr_array_add(safe, row);
    }
    for (guint r = 0; r < safe->len; r++)
        print_row(g_ptr_array_index(safe, r), widths, columns);
}

char *
cli_read_secret(const char *path, GError **error)
{
    g_auto(Fd) opened = strcmp(path, "-") == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : opened;
    char buffer[SECRET_MAX_BYTES + 1];
    size_t used = 0;
    ssize_t n = 0;

    if (fd < 0) {
        error_set_errno(error, "%s", path);
        return NULL;
    }
    while (used < SECRET_MAX_BYTES && memchr(buffer, '\n', used) == NULL &&
           (n = read(fd, buffer + used, SECRET_MAX_BYTES - used)) != 0) {
        if (n < 0 && errno != EINTR) {
            error_set_errno(error, "%s: cannot read", path);
            return NULL;
        }
        used += n > 0 ? (size_t)n : 0;
    }
    buffer[used] = '\0';
    buffer[strcspn(buffer, "\r\n")] = '\0';
    if (buffer[0] == '\0' || strlen(buffer) == SECRET_MAX_BYTES) {
        error_set(error, "%s: holds no secret of 1 to %d bytes", path, SECRET_MAX_BYTES - 1);
        return NULL;
    }
    return g_strdup(buffer);
}

/* A password that others can read is no secret any more: better found out now. */
bool
cli_check_private(const char *path, GError **error)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return error_set_errno(error, "%s", path);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0 ||
        (status.st_uid != geteuid() && status.st_uid != 0))
        return error_set(
            error, "%s: a credential must be a file of one's own that nobody else can read: chmod 600", path);
    return true;
}

char *
cli_read_credential(const char *path, const char *name, GError **error)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *file = NULL;

    g_assert((path == NULL) != (name == NULL));
    if (path != NULL)
        return cli_check_private(path, error) ? cli_read_secret(path, error) : NULL;
    if (folder == NULL) {
        error_set(error,
                  "credential '%s': CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with "
                  "LoadCredential=",
                  name);
        return NULL;
    }
    file = g_build_filename(folder, name, NULL); /* systemd sees to who can read it */
    return cli_read_secret(file, error);
}
