// SPDX-License-Identifier: Apache-2.0
/* Archives that a guest could send: what is made of them on this host, and what is not. */
#include "guest/untar.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/pool.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* One member of an archive. @type 0: a hard link to @text. */
typedef struct {
    const char *name;
    mode_t type, mode;
    const char *text; /* content, or where a link leads */
} Member;

typedef struct {
    char *top, *tar, *folder;
    UntarCounts counts;
    GError *error;
    bool is_ok;
} Case;

static void
write_member(struct archive *a, const Member *member)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, member->name);
    archive_entry_set_filetype(entry, member->type != 0 ? member->type : AE_IFREG);
    archive_entry_set_perm(entry, member->mode);
    archive_entry_set_uid(entry, 12345);
    if (member->type == 0)
        archive_entry_set_hardlink(entry, member->text);
    else if (member->type == AE_IFLNK)
        archive_entry_set_symlink(entry, member->text);
    else if (member->type == AE_IFREG)
        archive_entry_set_size(entry, (la_int64_t)strlen(member->text));
    assert_true(archive_write_header(a, entry) >= ARCHIVE_WARN);
    if (member->type == AE_IFREG)
        assert_int_equal(archive_write_data(a, member->text, strlen(member->text)), strlen(member->text));
    archive_entry_free(entry);
}

/* It changes its thread's folder, so it runs in a thread of its own. */
static void
unpack(void *data)
{
    Case *c = data;
    g_auto(Fd) fd = open(c->tar, O_RDONLY | O_CLOEXEC);
    g_auto(Fd) dir = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    c->is_ok = untar_beneath(fd, dir, "got", "guest", &c->counts, &c->error);
}

static Case
unpack_members(const Member *members)
{
    Case c = {.top = g_dir_make_tmp("untar-XXXXXX", NULL)};
    struct archive *a = archive_write_new();
    PoolQueue *queue = pool_queue_new(1, NULL);
    g_autofree char *outside = NULL;

    c.tar = g_build_filename(c.top, "tar", NULL);
    c.folder = g_build_filename(c.top, "in", NULL);
    outside = g_build_filename(c.top, "outside", NULL);
    assert_int_equal(mkdir(c.folder, 0755), 0);
    assert_int_equal(mkdir(outside, 0755), 0);
    archive_write_set_format_gnutar(a);
    assert_int_equal(archive_write_open_filename(a, c.tar), ARCHIVE_OK);
    for (; members->name != NULL; members++)
        write_member(a, members);
    archive_write_free(a);
    pool_queue_push(queue, unpack, &c);
    pool_queue_free(queue);
    return c;
}

static void
case_clear(Case *c)
{
    assert_true(file_remove_tree(c->top, NULL));
    g_clear_error(&c->error);
    g_free(c->top);
    g_free(c->tar);
    g_free(c->folder);
}

/* Whether anything is in @folder but what it is to hold. */
static bool
holds_only(const char *top, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(top, folder, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *found;
    bool is_alone = true;

    while ((found = g_dir_read_name(dir)) != NULL)
        is_alone = is_alone && g_strcmp0(found, name) == 0;
    return is_alone;
}

static void
an_ordinary_tree_is_made_as_it_is(void **state G_GNUC_UNUSED)
{
    static const Member MEMBERS[] = {
        {"./", AE_IFDIR, 0755, NULL},
        {"./dir/", AE_IFDIR, 0500, NULL},
        {"./dir/file", AE_IFREG, 04755, "hello"},
        {"./dir/again", 0, 0755, "./dir/file"},
        {"./absolute", AE_IFLNK, 0777, "/etc/shadow"},
        {"./loop", AE_IFLNK, 0777, "loop"},
        {"./null", AE_IFCHR, 0666, NULL},
        {"./fifo", AE_IFIFO, 0666, NULL},
        {NULL, 0, 0, NULL},
    };
    mode_t mask = umask(022);
    Case c = unpack_members(MEMBERS);
    g_autofree char *file = g_build_filename(c.folder, "got/dir/file", NULL);
    g_autofree char *again = g_build_filename(c.folder, "got/dir/again", NULL);
    g_autofree char *dir = g_build_filename(c.folder, "got/dir", NULL);
    g_autofree char *link = g_build_filename(c.folder, "got/absolute", NULL);
    g_autofree char *text = NULL, *target = NULL;
    struct stat one, two;

    umask(mask);
    if (!c.is_ok)
        fail_msg("%s", c.error->message);
    assert_int_equal(c.counts.n_entries, 6);
    assert_int_equal(c.counts.n_special, 2);
    assert_true(g_file_get_contents(file, &text, NULL, NULL));
    assert_string_equal(text, "hello");
    assert_int_equal(stat(file, &one), 0);
    assert_int_equal(stat(again, &two), 0);
    assert_int_equal(one.st_ino, two.st_ino);
    assert_int_equal(one.st_mode & 07777, 0755); /* not setuid */
    assert_int_equal(one.st_uid, geteuid());
    assert_int_equal(stat(dir, &two), 0);
    assert_int_equal(two.st_mode & 07777, 0500);
    target = g_file_read_link(link, NULL);
    assert_string_equal(target, "/etc/shadow");
    assert_true(holds_only(c.top, "in", "got"));
    case_clear(&c);
}

static void
no_name_leads_out_of_the_folder(void **state G_GNUC_UNUSED)
{
    static const Member ARCHIVES[][4] = {
        {{"../outside/x", AE_IFREG, 0644, "bad"}},
        {{"./a/../../../outside/x", AE_IFREG, 0644, "bad"}},
        {{"./..", AE_IFLNK, 0777, "/etc"}},
        {{"./l", AE_IFLNK, 0777, "../../outside"}, {"./l/x", AE_IFREG, 0644, "bad"}},
        {{"./l", AE_IFLNK, 0777, "../../outside"}, {"./l/d/", AE_IFDIR, 0755, NULL}},
        {{"./l", AE_IFLNK, 0777, "../../outside"},
         {"./m", AE_IFLNK, 0777, "l"},
         {"./m/x", AE_IFREG, 0644, "bad"}},
        {{"./h", 0, 0644, "../../tar"}},
        {{"./l", AE_IFLNK, 0777, "../.."}, {"./h", 0, 0644, "./l/tar"}},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(ARCHIVES); i++) {
        Case c = unpack_members(ARCHIVES[i]);

        if (c.is_ok)
            fail_msg("archive %u was taken", i);
        assert_true(holds_only(c.top, "outside", NULL));
        assert_true(holds_only(c.top, "in", "got"));
        case_clear(&c);
    }
}

static void
names_that_look_absolute_stay_inside(void **state G_GNUC_UNUSED)
{
    static const Member MEMBERS[] = {
        {"/etc/passwd", AE_IFREG, 0644, "mine"},
        {"./h", 0, 0644, "/etc/passwd"},
        {NULL, 0, 0, NULL},
    };
    Case c = unpack_members(MEMBERS);
    g_autofree char *path = g_build_filename(c.folder, "got/etc/passwd", NULL);
    g_autofree char *text = NULL;

    if (!c.is_ok)
        fail_msg("%s", c.error->message);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, "mine");
    case_clear(&c);
}

static void
a_link_of_the_host_is_not_followed(void **state G_GNUC_UNUSED)
{
    static const Member MEMBERS[] = {
        {"./l", AE_IFLNK, 0777, "../../outside/x"},
        {"./l", AE_IFREG, 0644, "new"}, /* takes the place of the link, not of what it leads to */
        {NULL, 0, 0, NULL},
    };
    Case c = unpack_members(MEMBERS);
    g_autofree char *path = g_build_filename(c.folder, "got/l", NULL);
    g_autofree char *text = NULL;

    if (!c.is_ok)
        fail_msg("%s", c.error->message);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, "new");
    assert_true(holds_only(c.top, "outside", NULL));
    case_clear(&c);
}

static void
half_an_archive_is_an_error(void **state G_GNUC_UNUSED)
{
    static const Member MEMBERS[] = {
        {"./a", AE_IFREG, 0644, "some text that is cut off"},
        {NULL, 0, 0, NULL},
    };
    Case c = unpack_members(MEMBERS);

    assert_int_equal(truncate(c.tar, 520), 0);
    unpack(&c);
    assert_false(c.is_ok);
    case_clear(&c);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_tree_is_made_as_it_is),
        cmocka_unit_test(no_name_leads_out_of_the_folder),
        cmocka_unit_test(names_that_look_absolute_stay_inside),
        cmocka_unit_test(a_link_of_the_host_is_not_followed),
        cmocka_unit_test(half_an_archive_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
