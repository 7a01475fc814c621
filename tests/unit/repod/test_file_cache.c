// SPDX-License-Identifier: Apache-2.0
/* Files that stay open, and what must not be served from them. */
#include "repod/file_cache.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOB "blobs/sha512/01/x"

typedef struct {
    char *top;
    ConfigSite config;
    Site site;
    FileCache *cache;
} Fixture;

static void
put(const Fixture *at, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(at->top, name, NULL);

    assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

/* A repository in miniature in TOP/repo, and something outside. */
static int
set_up(void **state)
{
    Fixture *at = g_new0(Fixture, 1);
    g_autofree char *repo = NULL;

    at->top = g_dir_make_tmp("vdXXXXXX", NULL);
    assert_non_null(at->top);
    assert_int_equal(chdir(at->top), 0);
    assert_int_equal(g_mkdir_with_parents("repo/gen/1", 0755), 0);
    assert_int_equal(g_mkdir_with_parents("repo/gen/2", 0755), 0);
    assert_int_equal(g_mkdir_with_parents("repo/blobs/sha512/01", 0755), 0);
    put(at, "outside", "one");
    put(at, "repo/gen/1/index", "one");
    put(at, "repo/gen/2/index", "two");
    put(at, "repo/" BLOB, "one");
    assert_int_equal(symlink("gen/1", "repo/current"), 0);
    assert_int_equal(symlink("current/index", "repo/index"), 0);
    repo = g_build_filename(at->top, "repo", NULL);
    at->config = (ConfigSite){.name = (char *)"site", .dir = repo};
    at->site = (Site){
        .config = &at->config, .root = open(repo, O_RDONLY | O_DIRECTORY), .shelf = shelf_new(&at->config)};
    assert_true(at->site.root >= 0);
    at->cache = file_cache_new();
    *state = at;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *at = *state;

    file_cache_free(at->cache);
    shelf_unref(at->site.shelf);
    fd_close(at->site.root);
    assert_int_equal(chdir("/"), 0);
    assert_true(file_remove_tree(at->top, NULL));
    g_free(at->top);
    g_free(at);
    return 0;
}

/* The text of the file, or "" and errno. */
static void
read_name(const Fixture *at, const char *name, char out_text[4])
{
    OpenFile *file = file_cache_open(at->cache, &at->site, name);
    ssize_t n = file != NULL ? pread(file->fd, out_text, 3, 0) : 0;

    out_text[MAX(n, 0)] = '\0';
    open_file_unref(file);
}

static void
switch_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, "new"), 0);
    assert_int_equal(rename("new", name), 0);
}

static void
publish(G_GNUC_UNUSED const Fixture *at)
{
    switch_link("gen/2", "repo/current");
}

static void
replace(const Fixture *at)
{
    put(at, "new", "two");
    assert_int_equal(rename("new", "repo/gen/1/index"), 0);
}

static void
overwrite(G_GNUC_UNUSED const Fixture *at)
{
    g_auto(Fd) fd = open("repo/gen/1/index", O_WRONLY);

    assert_int_equal(write(fd, "two", 3), 3);
}

static void
unlink_file(G_GNUC_UNUSED const Fixture *at)
{
    assert_int_equal(unlink("repo/gen/1/index"), 0);
}

static void
put_folder(G_GNUC_UNUSED const Fixture *at)
{
    assert_int_equal(unlink("repo/gen/1/index"), 0);
    assert_int_equal(mkdir("repo/gen/1/index", 0755), 0);
}

static void
lead_outside(G_GNUC_UNUSED const Fixture *at)
{
    switch_link("../outside", "repo/index");
}

static void
change_nothing(G_GNUC_UNUSED const Fixture *at)
{
}

static void
whatever_is_done_to_a_name_shows_at_the_next_look(void **state)
{
    static const struct {
        const char *label;
        void (*change)(const Fixture *at);
        const char *expected;
        int code; /* where @expected is "" */
    } rows[] = {
        {"nothing", change_nothing, "one", 0},       {"a new version", publish, "two", 0},
        {"another file", replace, "two", 0},         {"overwritten", overwrite, "two", 0},
        {"removed", unlink_file, "", ENOENT},        {"a folder", put_folder, "", ENOENT},
        {"a link outside", lead_outside, "", EXDEV},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Fixture *at;
        char text[4];

        assert_int_equal(set_up(state), 0);
        at = *state;
        read_name(at, "index", text);
        assert_string_equal(text, "one");
        rows[i].change(at);
        file_cache_look_again(at->cache);
        read_name(at, "index", text);
        if (strcmp(text, rows[i].expected) != 0 || (*text == '\0' && errno != rows[i].code))
            fail_msg("%s: '%s' (%s)", rows[i].label, text, g_strerror(errno));
        assert_int_equal(tear_down(state), 0);
    }
}

static void
a_file_that_stays_is_opened_once(void **state)
{
    const Fixture *at = *state;
    OpenFile *first = file_cache_open(at->cache, &at->site, BLOB);
    OpenFile *second = file_cache_open(at->cache, &at->site, BLOB);

    assert_non_null(first);
    assert_ptr_equal(first, second);
    assert_non_null(first->count);
    assert_int_equal(first->facts.size, 3);
    open_file_unref(first);
    open_file_unref(second);
}

static void
what_is_forgotten_is_closed_when_nobody_uses_it(void **state)
{
    const Fixture *at = *state;
    OpenFile *used = file_cache_open(at->cache, &at->site, BLOB);
    const int fd = used->fd;
    char text[3];

    assert_false(file_cache_is_empty(at->cache));
    assert_int_equal(unlink("repo/" BLOB), 0);
    file_cache_forget(at->cache);
    assert_true(file_cache_is_empty(at->cache));
    assert_int_equal(pread(fd, text, sizeof text, 0), 3);
    open_file_unref(used);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static unsigned
count_open(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    assert_non_null(dir);
    while (g_dir_read_name(dir) != NULL)
        n++;
    return n;
}

static void
many_files_are_all_served_and_few_stay_open(void **state)
{
    const Fixture *at = *state;
    const unsigned before = count_open();

    for (int i = 0; i < 1000; i++) {
        g_autofree char *name = g_strdup_printf("gen/1/file%d", i);
        g_autofree char *path = g_strconcat("repo/", name, NULL);
        char text[4];

        put(at, path, "abc");
        read_name(at, name, text);
        assert_string_equal(text, "abc");
    }
    assert_in_range(count_open(), before + 1, before + 64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_done_to_a_name_shows_at_the_next_look),
        cmocka_unit_test_setup_teardown(a_file_that_stays_is_opened_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_closed_when_nobody_uses_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_files_are_all_served_and_few_stay_open, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
