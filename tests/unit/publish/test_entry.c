// SPDX-License-Identifier: Apache-2.0
/* What an index says about a published image: wishes over findings over the entry before. */
#include "publish/delta.h"
#include "publish/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char SHA_A[129], SHA_B[129];

static int
set_up(void **state G_GNUC_UNUSED)
{
    memset(SHA_A, 'a', 128);
    memset(SHA_B, 'b', 128);
    return 0;
}

static PublishFile
file_with(const char *sha512)
{
    return (PublishFile){.file = "blobs/x",
                         .sha512 = sha512,
                         .format = DISK_QCOW2,
                         .virtual_size = 1 << 30,
                         .compressed_size = 9};
}

/* add: a copy of the entry stays in the index; borrowed. */
static const IndexEntry *
add(Index *index, const PublishWish *wish, const GuestInfo *guest, const char *sha512)
{
    PublishFile file = file_with(sha512);
    g_autoptr(GError) error = NULL;
    IndexEntry *entry = publish_entry_new(index, wish, guest, &file, &error);

    if (entry == NULL)
        fail_msg("%s", error->message);
    publish_entry_put(index, entry);
    return entry;
}

static void
wishes_win_over_what_was_found(void **state G_GNUC_UNUSED)
{
    GuestInfo guest = {.arch = (char *)"amd64",
                       .product = (char *)"Debian 12",
                       .osinfo = (char *)"debian12",
                       .expand = (char *)"/dev/sda1"};
    PublishWish plain = {.name = "a"};
    PublishWish rich = {.name = "b", .title = "Mine", .arch = "i686", .expand = "/dev/sda9", .osinfo = "x"};
    g_autoptr(Index) index = index_new();
    const IndexEntry *entry = add(index, &plain, &guest, SHA_A);

    assert_string_equal(entry->arch, "x86_64");
    assert_string_equal(entry->title, "Debian 12");
    assert_string_equal(entry->osinfo, "debian12");
    assert_string_equal(entry->expand, "/dev/sda1");
    assert_string_equal(entry->format, "qcow2");
    assert_int_equal(entry->size, 1 << 30);
    assert_int_equal(entry->revision, 1);
    entry = add(index, &rich, &guest, SHA_A);
    assert_string_equal(entry->arch, "i386");
    assert_string_equal(entry->title, "Mine");
    assert_string_equal(entry->osinfo, "x");
    assert_string_equal(entry->expand, "/dev/sda9");
    assert_int_equal(index->entries->len, 2);
}

static void
what_nobody_says_is_kept_from_the_entry_before(void **state G_GNUC_UNUSED)
{
    GuestInfo guest = {.expand = (char *)"/dev/sda3"};
    PublishWish first = {
        .name = "a", .arch = "x86_64", .title = "T", .notes = "N", .lvexpand = "/dev/v/l", .is_hidden = true};
    PublishWish second = {.name = "a", .arch = "amd64"};
    g_autoptr(Index) index = index_new();
    const IndexEntry *entry;

    add(index, &first, NULL, SHA_A);
    entry = add(index, &second, NULL, SHA_B);
    assert_int_equal(index->entries->len, 1);
    assert_string_equal(entry->title, "T");
    assert_string_equal(entry->lvexpand, "/dev/v/l");
    assert_int_equal(entry->notes->len, 1);
    assert_false(entry->is_hidden);
    /* A disk that was looked into has the layout that was found, and no other. */
    entry = add(index, &second, &guest, SHA_A);
    assert_string_equal(entry->expand, "/dev/sda3");
    assert_null(entry->lvexpand);
}

static void
the_revision_grows_with_the_content(void **state G_GNUC_UNUSED)
{
    PublishWish wish = {.name = "a", .arch = "x86_64"};
    PublishWish other = {.name = "a", .arch = "aarch64"};
    PublishWish jump = {.name = "a", .arch = "x86_64", .revision = 10};
    g_autoptr(Index) index = index_new();

    assert_int_equal(add(index, &wish, NULL, SHA_A)->revision, 1);
    assert_int_equal(add(index, &wish, NULL, SHA_A)->revision, 1);
    assert_int_equal(add(index, &wish, NULL, SHA_B)->revision, 2);
    assert_int_equal(add(index, &other, NULL, SHA_B)->revision, 1);
    assert_int_equal(add(index, &jump, NULL, SHA_A)->revision, 10);
    assert_int_equal(add(index, &wish, NULL, SHA_B)->revision, 11);
    assert_int_equal(index->entries->len, 2);
}

static void
an_entry_that_clients_could_not_use_is_refused(void **state G_GNUC_UNUSED)
{
    static const PublishWish WISHES[] = {
        {.name = "a", .arch = "x86_64", .revision = 5}, /* published already */
        {.name = "a", .arch = "x86_64", .revision = 4},
        {.name = "nick", .arch = "x86_64"}, /* an alias of "a" */
        {.name = "b"},                      /* no architecture */
        {.name = "../b", .arch = "x86_64"},
    };
    PublishWish first = {.name = "a", .arch = "x86_64", .revision = 5};
    g_autoptr(Index) index = index_new();
    PublishFile file = file_with(SHA_B);

    add(index, &first, NULL, SHA_A);
    ((IndexEntry *)g_ptr_array_index(index->entries, 0))->aliases = g_strsplit("nick nock", " ", -1);
    for (size_t i = 0; i < G_N_ELEMENTS(WISHES); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(IndexEntry) entry = publish_entry_new(index, &WISHES[i], NULL, &file, &error);

        if (entry != NULL)
            fail_msg("case %zu was accepted", i);
        assert_non_null(error);
    }
}

static const char *
extension(const IndexEntry *entry, const char *key)
{
    const char *value = index_entry_extension(entry, key);

    return value != NULL ? value : "(none)";
}

static void
what_was_found_goes_into_extension_fields(void **state G_GNUC_UNUSED)
{
    GuestInfo guest = {.distro = (char *)"debian",
                       .version = (char *)"12",
                       .root = (char *)"/dev/sda1",
                       .root_fs = (char *)"ext4",
                       .firmware = (char *)"bios"};
    PublishWish wish = {.name = "a", .arch = "x86_64", .root_fs = "xfs"};
    g_autoptr(Index) index = index_new();
    const IndexEntry *entry = add(index, &wish, &guest, SHA_A);

    assert_string_equal(extension(entry, "x_os"), "debian");
    assert_string_equal(extension(entry, "x_os_version"), "12");
    assert_string_equal(extension(entry, "x_root"), "/dev/sda1");
    assert_string_equal(extension(entry, "x_root_fs"), "xfs");
    assert_string_equal(extension(entry, "x_firmware"), "bios");
    wish.root_fs = NULL;
    wish.firmware = "uefi";
    entry = add(index, &wish, NULL, SHA_B); /* not looked into: remembered */
    assert_string_equal(extension(entry, "x_os_version"), "12");
    assert_string_equal(extension(entry, "x_root_fs"), "xfs");
    assert_string_equal(extension(entry, "x_firmware"), "uefi");
}

/* publish: @sha512 with these blobs, either of which may be NULL */
static const IndexEntry *
add_with(Index *index, const PublishWish *wish, const char *sha512, const char *manifest,
         const char *packages)
{
    PublishBlob first = {(char *)manifest, 100}, second = {(char *)packages, 200};
    PublishFile file = file_with(sha512);
    IndexEntry *entry;

    file.manifest = manifest != NULL ? &first : NULL;
    file.packages = packages != NULL ? &second : NULL;
    entry = publish_entry_new(index, wish, NULL, &file, NULL);
    assert_non_null(entry);
    publish_entry_put(index, entry);
    return entry;
}

static void
blobs_of_other_content_are_not_referred_to(void **state G_GNUC_UNUSED)
{
    PublishWish wish = {.name = "a", .arch = "x86_64"};
    g_autoptr(Index) index = index_new();
    IndexEntry *entry = (IndexEntry *)add_with(index, &wish, SHA_A, "blobs/sha512/m1", "blobs/sha512/p1");

    assert_string_equal(extension(entry, "x_manifest"), "blobs/sha512/m1");
    assert_string_equal(extension(entry, "x_manifest_size"), "100");
    assert_string_equal(extension(entry, "x_packages_size"), "200");
    index_entry_set_extension(entry, "x_delta", "blobs/sha512/d1");
    index_entry_set_extension(entry, "x_delta_size", "300");
    index_entry_set_extension(entry, "x_color", "blue");
    entry = (IndexEntry *)add_with(index, &wish, SHA_A, "blobs/sha512/m1", NULL);
    assert_string_equal(extension(entry, "x_packages"), "blobs/sha512/p1");
    assert_string_equal(extension(entry, "x_delta"), "blobs/sha512/d1");
    entry = (IndexEntry *)add_with(index, &wish, SHA_B, "blobs/sha512/m2", NULL);
    assert_string_equal(extension(entry, "x_manifest"), "blobs/sha512/m2");
    assert_string_equal(extension(entry, "x_packages"), "(none)");
    assert_string_equal(extension(entry, "x_packages_size"), "(none)");
    assert_string_equal(extension(entry, "x_delta"), "(none)");
    assert_string_equal(extension(entry, "x_delta_size"), "(none)");
    assert_string_equal(extension(entry, "x_color"), "blue");
    add_with(index, &wish, SHA_B, "blobs/sha512/m2", "blobs/sha512/p2");
    wish.drop_packages = true;
    entry = (IndexEntry *)add_with(index, &wish, SHA_B, "blobs/sha512/m2", NULL);
    assert_string_equal(extension(entry, "x_packages"), "(none)");
}

static void
more_images_than_stock_clients_can_read_have_no_room(void **state G_GNUC_UNUSED)
{
    g_autoptr(Index) index = index_new();
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < INDEX_MAX_PRINT_ENTRIES; i++)
        g_ptr_array_add(index->entries, index_entry_new());
    assert_true(publish_entry_check_room(index, NULL));
    g_ptr_array_add(index->entries, index_entry_new());
    assert_false(publish_entry_check_room(index, &error));
    assert_non_null(strstr(error->message, "2401 images, and stock virt-builder cannot read more than 2400"));
}

static void
deltas_belong_to_one_content(void **state G_GNUC_UNUSED)
{
    const PublishWish wish = {.name = "a", .arch = "x86_64"};
    const IndexDelta delta = {.revision = 7, .base_sha512 = SHA_A, .file = "blobs/sha512/cc/c", .size = 5};
    g_autoptr(Index) index = index_new();
    const IndexEntry *entry = add(index, &wish, NULL, SHA_A);
    g_autoptr(GPtrArray) none = publish_delta_bases(NULL, 3), first = publish_delta_bases(entry, 3),
                         both = NULL, one = NULL;
    PublishFile file = file_with(SHA_B);
    IndexEntry *next;

    assert_int_equal(none->len, 0);
    assert_int_equal(first->len, 1);
    file.deltas = &delta;
    file.n_deltas = 1;
    next = publish_entry_new(index, &wish, NULL, &file, NULL);
    assert_string_equal(index_entry_extension(next, "x_delta_7"), "blobs/sha512/cc/c");
    assert_string_equal(index_entry_extension(next, "x_delta_7_size"), "5");
    assert_string_equal(index_entry_extension(next, "x_delta_7_base"), SHA_A);
    publish_entry_put(index, next);
    both = publish_delta_bases(next, 3);
    one = publish_delta_bases(next, 1);
    assert_int_equal(both->len, 2);
    assert_int_equal(((PublishBase *)g_ptr_array_index(both, 0))->revision, 7);
    assert_string_equal(((PublishBase *)g_ptr_array_index(both, 1))->sha512, SHA_B);
    assert_int_equal(one->len, 1);
    entry = add(index, &wish, NULL, SHA_A); /* other content: the deltas go, with all that says of them */
    assert_null(index_entry_extension(entry, "x_delta_7"));
    assert_null(index_entry_extension(entry, "x_delta_7_size"));
    assert_null(index_entry_extension(entry, "x_delta_7_base"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes_win_over_what_was_found),
        cmocka_unit_test(what_nobody_says_is_kept_from_the_entry_before),
        cmocka_unit_test(the_revision_grows_with_the_content),
        cmocka_unit_test(an_entry_that_clients_could_not_use_is_refused),
        cmocka_unit_test(what_was_found_goes_into_extension_fields),
        cmocka_unit_test(blobs_of_other_content_are_not_referred_to),
        cmocka_unit_test(more_images_than_stock_clients_can_read_have_no_room),
        cmocka_unit_test(deltas_belong_to_one_content),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
