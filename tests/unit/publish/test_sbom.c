// SPDX-License-Identifier: Apache-2.0
/* The list of packages as SPDX. */
#include "publish/sbom.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(x) ((char *)(x))

static void
package_urls_follow_the_purl_specification(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *manager, *distro, *os_version, *name, *version, *arch, *purl;
    } CASES[] = {
        {"apt", "debian", "12", "bash", "5.2.15-2+b7", "amd64",
         "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12"},
        {"apt", "ubuntu", "24.04", "libstdc++6", "1:14-2", NULL,
         "pkg:deb/ubuntu/libstdc%2B%2B6@1:14-2?distro=ubuntu-24.04"},
        {"dnf", "fedora", "40", "perl-Errno", "1:1.37-507.fc40", "x86_64",
         "pkg:rpm/fedora/perl-Errno@1.37-507.fc40?arch=x86_64&distro=fedora-40&epoch=1"},
        {"dnf", "rhel", "9.4", "bash", "5.1.8-9.el9", "x86_64",
         "pkg:rpm/redhat/bash@5.1.8-9.el9?arch=x86_64&distro=rhel-9.4"},
        {"apk", "alpine", NULL, "musl", "1.2.5-r0", NULL, "pkg:apk/alpine/musl@1.2.5-r0"},
        {"pacman", "archlinux", NULL, "zlib", NULL, "x86_64", "pkg:alpm/arch/zlib?arch=x86_64"},
        {"portage", "gentoo", NULL, "bash", "5", NULL, NULL},
        {"apt", NULL, NULL, "bash", "5", NULL, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        GuestInfo guest = {.package_manager = TEXT(CASES[i].manager),
                           .distro = TEXT(CASES[i].distro),
                           .version = TEXT(CASES[i].os_version)};
        GuestPackage package = {
            .name = TEXT(CASES[i].name), .version = TEXT(CASES[i].version), .arch = TEXT(CASES[i].arch)};
        g_autofree char *purl = publish_sbom_purl(&guest, &package);

        if (g_strcmp0(purl, CASES[i].purl) != 0)
            fail_msg("case %zu: %s", i, purl);
    }
}

static const Json *
package_at(const Json *document, size_t i)
{
    return json_at(json_get(document, "packages"), i);
}

static void
the_document_lists_sorted_packages_of_one_image(void **state G_GNUC_UNUSED)
{
    GuestPackage zlib = {.name = TEXT("zlib"), .version = TEXT("1"), .vendor = TEXT("Example \"Inc\"")};
    GuestPackage bash = {.name = TEXT("bash"), .version = TEXT("5"), .source = TEXT("bash-src")};
    GuestPackage nameless = {.version = TEXT("5")};
    g_autoptr(GPtrArray) packages = g_ptr_array_new();
    GuestInfo guest = {.package_manager = TEXT("apt"),
                       .distro = TEXT("debian"),
                       .product = TEXT("Debian 12"),
                       .packages = packages};
    const PublishSbom sbom = {
        .name = "debian-12", .arch = "x86_64", .sha512 = "abc", .created = 1700000000, .guest = &guest};
    g_autofree char *text = NULL, *again = NULL;
    g_autoptr(Json) document = NULL;

    g_ptr_array_add(packages, &zlib);
    g_ptr_array_add(packages, &nameless);
    g_ptr_array_add(packages, &bash);
    text = publish_sbom_print(&sbom);
    g_ptr_array_remove_index_fast(packages, 0); /* another order */
    g_ptr_array_add(packages, &zlib);
    again = publish_sbom_print(&sbom);
    assert_string_equal(text, again);
    document = json_parse(text, strlen(text), "sbom", NULL);
    assert_non_null(document);
    assert_string_equal(json_get_text(document, "spdxVersion"), "SPDX-2.3");
    assert_string_equal(json_get_text(document, "documentNamespace"),
                        "https://spdx.org/spdxdocs/virt-depot-abc");
    assert_string_equal(json_get_text(json_get(document, "creationInfo"), "created"), "2023-11-14T22:13:20Z");
    assert_int_equal(json_length(json_get(document, "packages")), 3);
    assert_string_equal(json_get_text(package_at(document, 0), "SPDXID"), "SPDXRef-Image");
    assert_string_equal(json_get_text(package_at(document, 1), "name"), "bash");
    assert_string_equal(json_get_text(package_at(document, 1), "supplier"), "NOASSERTION");
    assert_string_equal(json_get_text(package_at(document, 1), "sourceInfo"), "built from bash-src");
    assert_string_equal(json_get_text(package_at(document, 2), "supplier"), "Organization: Example \"Inc\"");
    assert_int_equal(json_length(json_get(document, "relationships")), 3);
}

static void
a_guest_without_packages_still_gives_a_document(void **state G_GNUC_UNUSED)
{
    GuestInfo guest = {0};
    const PublishSbom sbom = {.name = "a", .arch = "x86_64", .sha512 = "abc", .guest = &guest};
    g_autofree char *text = publish_sbom_print(&sbom);
    g_autoptr(Json) document = json_parse(text, strlen(text), "sbom", NULL);

    assert_int_equal(json_length(json_get(document, "packages")), 1);
    assert_null(strstr(text, "null"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(package_urls_follow_the_purl_specification),
        cmocka_unit_test(the_document_lists_sorted_packages_of_one_image),
        cmocka_unit_test(a_guest_without_packages_still_gives_a_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
