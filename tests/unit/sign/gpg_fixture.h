// SPDX-License-Identifier: Apache-2.0
/* Keys and signatures of every odd kind, made with the gpg command in a short folder of their own below /tmp. */
#pragma once

#include <glib.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* Where the fixture lives; gpg's home is its subfolder h. */
static char fixture_dir[] = "/tmp/vds-XXXXXX";

static inline char *
fixture_path(const char *name)
{
    return g_build_filename(fixture_dir, name, NULL);
}

static inline void
fixture_write(const char *name, const void *data, size_t size)
{
    g_autofree char *path = fixture_path(name);

    assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
}

static inline GBytes *
fixture_read(const char *name)
{
    g_autofree char *path = fixture_path(name);
    char *data;
    gsize size;

    assert_true(g_file_get_contents(path, &data, &size, NULL));
    return g_bytes_new_take(data, size);
}

static inline char *gpg(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* gpg: run gpg with @arguments (a shell-like line) in the fixture's folder; it must succeed. Returns its output. */
static inline char *
gpg(const char *format, ...)
{
    va_list list;
    g_autofree char *arguments = NULL;
    g_autofree char *line = NULL;
    g_autofree char *problems = NULL;
    g_auto(GStrv) argv = NULL;
    char *output = NULL;
    int status = -1;

    va_start(list, format);
    arguments = g_strdup_vprintf(format, list);
    va_end(list);
    line = g_strdup_printf("gpg --homedir %s/h --batch --yes --quiet --no-greeting --trust-model always "
                           "--pinentry-mode loopback --passphrase '' %s",
                           fixture_dir, arguments);
    assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
    assert_true(g_spawn_sync(fixture_dir, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &problems,
                             &status, NULL));
    if (status != 0)
        fail_msg("%s: %s", line, problems);
    return output;
}

#define gpg_do(...) g_free(gpg(__VA_ARGS__))

/* key_fingerprint: of the primary key with that user id. */
static inline char *
key_fingerprint(const char *user_id)
{
    g_autofree char *output = gpg("--with-colons --list-keys '=%s'", user_id);
    const char *start = strstr(output, "\nfpr:::::::::");

    assert_non_null(start);
    return g_strndup(start + strlen("\nfpr:::::::::"), 40);
}

static inline GBytes *
key_export(const char *user_ids)
{
    gpg_do("--armor --output keys --export %s", user_ids);
    return fixture_read("keys");
}

static inline void
fixture_init(void)
{
    g_autofree char *home = NULL;

    assert_non_null(g_mkdtemp(fixture_dir));
    home = fixture_path("h");
    assert_int_equal(g_mkdir(home, 0700), 0);
}

static inline void
fixture_clear(void)
{
    g_autofree char *stop = g_strdup_printf("gpgconf --homedir %s/h --kill all", fixture_dir);
    const char *remove[] = {"rm", "-rf", fixture_dir, NULL};

    g_spawn_command_line_sync(stop, NULL, NULL, NULL, NULL);
    g_spawn_sync(NULL, (char **)remove, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}
