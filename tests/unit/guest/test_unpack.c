// SPDX-License-Identifier: Apache-2.0
/* Archives of this host are decompressed whatever their name, and damaged ones are an error. */
#include "guest/unpack.h"

#include "temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_BYTES 200000u

/* A file of text, @command of which writes the compressed form to stdout. */
static char *
compressed(const char *command)
{
    g_autofree char *plain = g_build_filename(dir, "plain", NULL), *text = g_malloc(TEXT_BYTES);
    char *path = g_build_filename(dir, "archive", NULL);
    g_autofree char *line = g_strdup_printf("(%s) < %s > %s", command, plain, path);
    GRand *random = g_rand_new_with_seed(1);
    const char *argv[] = {"/bin/sh", "-c", line, NULL};
    int status;

    for (unsigned i = 0; i < TEXT_BYTES; i++)
        text[i] = (char)('a' + g_rand_int_range(random, 0, 26));
    g_rand_free(random);
    assert_true(g_file_set_contents(plain, text, TEXT_BYTES, NULL));
    assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
    return path;
}

static bool
unpack(const char *path, GError **error)
{
    g_autofree char *out = g_build_filename(dir, "out", NULL);
    g_auto(Fd) fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    return unpack_stream(path, fd, error);
}

static void
every_compression_is_known_by_its_content(void **state G_GNUC_UNUSED)
{
    static const char *const COMMANDS[] = {"cat", "gzip", "bzip2", "xz", "zstd -q", "xz --format=lzma"};

    for (unsigned i = 0; i < G_N_ELEMENTS(COMMANDS); i++) {
        g_autofree char *path = compressed(COMMANDS[i]);
        g_autofree char *expected = NULL, *found = NULL;
        g_autofree char *plain = g_build_filename(dir, "plain", NULL),
                        *out = g_build_filename(dir, "out", NULL);
        gsize size;

        assert_true(unpack(path, NULL));
        assert_true(g_file_get_contents(plain, &expected, NULL, NULL));
        assert_true(g_file_get_contents(out, &found, &size, NULL));
        assert_int_equal(size, TEXT_BYTES);
        assert_memory_equal(found, expected, size);
    }
}

static void
a_damaged_archive_is_an_error(void **state G_GNUC_UNUSED)
{
    static const char *const COMMANDS[] = {"gzip | head -c 50000", "xz | head -c 50000",
                                           "zstd -q | head -c 50000"};

    for (unsigned i = 0; i < G_N_ELEMENTS(COMMANDS); i++) {
        g_autofree char *path = compressed(COMMANDS[i]);
        g_autoptr(GError) error = NULL;

        assert_false(unpack(path, &error));
        assert_true(g_str_has_prefix(error->message, path));
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_FAILED));
    }
}

static void
a_reader_that_went_away_ends_it(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = compressed("gzip");
    g_autoptr(GError) error = NULL;
    int ends[2];

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    assert_false(unpack_stream(path, ends[1], &error));
    assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNAVAILABLE));
    close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_compression_is_known_by_its_content),
        cmocka_unit_test(a_damaged_archive_is_an_error),
        cmocka_unit_test(a_reader_that_went_away_ends_it),
    };

    return cmocka_run_group_tests_name("guest/unpack", tests, make_dir, remove_dir);
}
