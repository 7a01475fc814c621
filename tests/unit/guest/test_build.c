// SPDX-License-Identifier: Apache-2.0
/* What build decides without a disk: names, sizes in virt-builder's spelling, which image of two is listed, which kernel is newest. */
#include "guest/build.h"
#include "guest/build_list.h"
#include "guest/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void
the_default_name_follows_the_format(void **state)
{
    static const struct {
        const char *image, *format, *expected;
    } CASES[] = {
        {"debian-12", NULL, "debian-12.img"},
        {"debian-12", "raw", "debian-12.img"},
        {"debian-12", "qcow2", "debian-12.qcow2"},
        {"source/debian-12", "qcow2", "debian-12.qcow2"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *name = build_output_name(CASES[i].image, CASES[i].format);

        assert_string_equal(name, CASES[i].expected);
    }
}

static void
sizes_are_spelled_as_virt_builder_does(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *expected;
    } CASES[] = {
        {0, "0"},
        {1023, "1023"},
        {1024, "1.0K"},
        {1536, "1.5K"},
        {(1u << 20) - 1, "1024.0K"},
        {148947524, "142.0M"},
        {2147483648, "2.0G"},
        {5ull << 40, "5120.0G"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *text = build_list_size(CASES[i].bytes);

        assert_string_equal(text, CASES[i].expected);
    }
}

static IndexEntry *
add_entry(Index *index, const char *name, const char *title, uint64_t revision)
{
    IndexEntry *entry = index_entry_new();

    entry->name = g_strdup(name);
    entry->arch = g_strdup("x86_64");
    entry->title = g_strdup(title);
    entry->revision = revision;
    g_ptr_array_add(index->entries, entry);
    return entry;
}

static char *
list(const FetchOffer *offers, unsigned n)
{
    static const char *const LANGUAGES[] = {"C", NULL};

    return build_list_print(offers, n, NULL, BUILD_LIST_SHORT, LANGUAGES);
}

static void
of_two_images_with_one_name_the_one_that_is_meant_is_listed(void **state)
{
    static const char *const PINS[] = {NULL};
    g_autoptr(Index) first = index_new();
    g_autoptr(Index) other = index_new();
    FetchOffer offers[2] = {{"a", PINS, first, 50}, {"b", PINS, other, 50}};
    g_autofree char *by_revision = NULL, *by_priority = NULL;

    (void)state;
    add_entry(first, "one", "old", 1);
    add_entry(other, "one", "new", 2);
    add_entry(other, "two", NULL, 1);
    by_revision = list(offers, 2);
    assert_string_equal(by_revision,
                        "one                      x86_64     new\ntwo                      x86_64    \n");
    offers[0].priority = 51;
    by_priority = list(offers, 2);
    assert_string_equal(by_priority,
                        "one                      x86_64     old\ntwo                      x86_64    \n");
}

static void
a_title_cannot_talk_to_the_terminal(void **state)
{
    static const char *const PINS[] = {NULL};
    g_autoptr(Index) index = index_new();
    const FetchOffer offer = {"a", PINS, index, 50};
    g_autofree char *text = NULL;

    (void)state;
    add_entry(index, "one", "\033[2Jgone", 1);
    text = list(&offer, 1);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "\\x1b[2Jgone"));
}

static void
the_newest_kernel_comes_with_its_own_ram_disk(void **state)
{
    static const struct {
        const char *kernels[4], *initrds[5], *kernel, *initrd;
    } CASES[] = {
        {{"/boot/vmlinuz-6.1.0-9-amd64", "/boot/vmlinuz-6.1.0-10-amd64"},
         {"/boot/initrd.img-6.1.0-9-amd64", "/boot/initrd.img-6.1.0-10-amd64"},
         "/boot/vmlinuz-6.1.0-10-amd64",
         "/boot/initrd.img-6.1.0-10-amd64"},
        {{"/boot/vmlinuz-0-rescue-1234", "/boot/vmlinuz-5.14.0-70.el9.x86_64"},
         {"/boot/initramfs-0-rescue-1234.img", "/boot/initramfs-5.14.0-70.el9.x86_64kdump.img",
          "/boot/initramfs-5.14.0-70.el9.x86_64.img"},
         "/boot/vmlinuz-5.14.0-70.el9.x86_64",
         "/boot/initramfs-5.14.0-70.el9.x86_64.img"},
        {{"/boot/vmlinuz-6.4-default"},
         {"/boot/initrd-6.4-default"},
         "/boot/vmlinuz-6.4-default",
         "/boot/initrd-6.4-default"},
        {{"/boot/vmlinuz-6.1"}, {"/boot/initrd.img-6.0"}, "/boot/vmlinuz-6.1", NULL},
        {{NULL}, {NULL}, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const char *kernel = kernel_choose((char *const *)CASES[i].kernels);
        const char *initrd =
            kernel == NULL ? NULL : kernel_choose_initrd(kernel, (char *const *)CASES[i].initrds);

        assert_true(g_strcmp0(kernel, CASES[i].kernel) == 0);
        assert_true(g_strcmp0(initrd, CASES[i].initrd) == 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_name_follows_the_format),
        cmocka_unit_test(sizes_are_spelled_as_virt_builder_does),
        cmocka_unit_test(of_two_images_with_one_name_the_one_that_is_meant_is_listed),
        cmocka_unit_test(a_title_cannot_talk_to_the_terminal),
        cmocka_unit_test(the_newest_kernel_comes_with_its_own_ram_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
