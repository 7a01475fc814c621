// SPDX-License-Identifier: Apache-2.0
#include "guest/run_text.h"

#include <glib.h>
#include <string.h>

static const char *const PROXIES[] = {"http_proxy", "https_proxy", "ftp_proxy",   "all_proxy",
                                      "no_proxy",   "HTTP_PROXY",  "HTTPS_PROXY", "FTP_PROXY",
                                      "ALL_PROXY",  "NO_PROXY",    NULL};

char *
run_wrapper(const char *folder, const char *const *environment)
{
    GString *text = g_string_new("export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                                 "export HOME=/root TERM=dumb SYSTEMD_OFFLINE=1\n");

    for (unsigned i = 0; environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        g_autofree char *name =
            equals != NULL ? g_strndup(environment[i], (gsize)(equals - environment[i])) : NULL;
        g_autofree char *value = equals != NULL ? g_shell_quote(equals + 1) : NULL;

        if (name != NULL && g_strv_contains(PROXIES, name))
            g_string_append_printf(text, "export %s=%s\n", name, value);
    }
    g_string_append_printf(text, "cd / && %s/script </dev/null >%s/log 2>&1\necho $?\n", folder, folder);
    return g_string_free(text, FALSE);
}

/* append_line: what a terminal would show of the line: progress that overwrote itself is seen once, and the cursor stays. */
static void
append_line(GString *text, const char *line)
{
    g_autofree char *shown = g_strchomp(g_strdup(line));
    char *at = strrchr(shown, '\r');

    for (at = at != NULL ? at + 1 : shown; *at != '\0'; at++)
        g_string_append_c(text, g_ascii_iscntrl(*at) && *at != '\t' ? ' ' : *at);
}

char *
run_last_lines(const char *log, size_t size)
{
    const size_t part = MIN(size, RUN_MAX_BYTES);
    g_autofree char *end = g_strchomp(g_utf8_make_valid(log + size - part, (gssize)part));
    g_auto(GStrv) lines = g_strsplit(end, "\n", -1);
    unsigned n = g_strv_length(lines);
    GString *text = g_string_new(NULL);

    for (unsigned i = n - MIN(n, RUN_MAX_LINES); i < n; i++) {
        append_line(text, lines[i]);
        if (i + 1 < n)
            g_string_append(text, " | ");
    }
    return g_string_free(text, FALSE);
}

static const char *
machine_word(const char *machine)
{
    if (strlen(machine) == 4 && machine[0] == 'i' && strcmp(machine + 2, "86") == 0)
        return "i386";
    return g_str_has_prefix(machine, "armv") ? "arm" : machine;
}

bool
run_is_possible(const char *host, const char *guest)
{
    const char *word = machine_word(host);

    return strcmp(word, guest) == 0 || (strcmp(word, "x86_64") == 0 && strcmp(guest, "i386") == 0);
}
