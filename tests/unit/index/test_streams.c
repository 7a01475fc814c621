// SPDX-License-Identifier: Apache-2.0
/* simplestreams: which products become which entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index_fixture.h"

#define DISK "\"path\":\"p/d.img\",\"size\":100,\"sha256\":\"" SHA256_B "\""
#define ITEM(key) "\"" key "\":{" DISK "}"
#define VERSION(name, items) "\"" name "\":{\"items\":{" items "}}"
#define PRODUCT(id, more, versions) "\"" id "\":{" more "\"versions\":{" versions "}}"
#define PRODUCTS(list) "{\"format\":\"products:1.0\",\"products\":{" list "}}"
#define AMD64 "\"arch\":\"amd64\","
#define UBUNTU                                                                                               \
    AMD64 "\"os\":\"ubuntu\",\"release\":\"jammy\",\"version\":\"22.04\",\"release_title\":\"22.04 LTS\","

static Index *
add(const char *text, GPtrArray *problems, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
    g_autoptr(Index) index = index_new();

    return index_streams_add(bytes, "products", index, problems, error) ? g_steal_pointer(&index) : NULL;
}

static void
test_products_become_entries(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        const char *entries; /* "name arch revision file aliases; ..." */
        guint problems;
    } CASES[] = {
        {PRODUCTS(
             PRODUCT("com.ubuntu.cloud:server:22.04:amd64", UBUNTU "\"aliases\":\"22.04,j,jammy\",",
                     VERSION("20240101", ITEM("disk1.img")) "," VERSION("20240207.1", ITEM("disk1.img")))),
         "ubuntu-jammy x86_64 202402070001 p/d.img ubuntu-22.04 22.04 j jammy;", 0},
        {PRODUCTS(PRODUCT("net.cirros-cloud:standard:0.3:x86_64",
                          "\"arch\":\"x86_64\",\"pubname\":\"cirros-0.3\",",
                          VERSION("20150422", ITEM("disk.img")))),
         "net.cirros-cloud-standard-0.3 x86_64 201504220000 p/d.img cirros-0.3;", 0},
        {PRODUCTS(PRODUCT(
             "alpine:3.20:default:amd64",
             AMD64
             "\"os\":\"Alpine\",\"release\":\"3.20\",\"variant\":\"default\",\"aliases\":\"alpine/3.20\",",
             VERSION("20240101_07:42", "\"root.squashfs\":{}," ITEM("disk.qcow2")))),
         "alpine-3.20 x86_64 202401010742 p/d.img;", 0},
        {PRODUCTS(PRODUCT("chr:7:cloud:arm64",
                          "\"arch\":\"arm64\",\"os\":\"chr\",\"release\":\"7\",\"variant\":\"cloud\",",
                          VERSION("202511172324", "\"odd\":{\"ftype\":\"disk-kvm.img\"," DISK "}"))),
         "chr-7-cloud aarch64 202511172324 p/d.img;", 0},
        /* Two of one os and release; two with the same id in all but what a name cannot hold. */
        {PRODUCTS(PRODUCT("u:server:amd64", UBUNTU, VERSION("1", ITEM("disk1.img"))) "," PRODUCT(
             "u:minimal:amd64", UBUNTU, VERSION("1", ITEM("disk1.img")))),
         "ubuntu-jammy x86_64 1000000000000 p/d.img ubuntu-22.04;u-minimal x86_64 1000000000000 p/d.img "
         "ubuntu-22.04;",
         0},
        {PRODUCTS(PRODUCT("a b:amd64", AMD64, VERSION("1", ITEM("disk.img"))) "," PRODUCT(
             "a+b:amd64", AMD64, VERSION("1", ITEM("disk.img")))),
         "a-b x86_64 1000000000000 p/d.img;", 1},
        /* The newest version that has a disk; no disk at all is no problem. */
        {PRODUCTS(PRODUCT("p:amd64", AMD64,
                          VERSION("20240101", ITEM("disk.img")) "," VERSION("20250101", ITEM("lxd.tar.xz")))),
         "p x86_64 202401010000 p/d.img;", 0},
        {PRODUCTS(PRODUCT("p:amd64", AMD64, VERSION("1", ITEM("root.tar.xz")))), "", 0},
        {PRODUCTS(PRODUCT("p", "", VERSION("1", ITEM("disk.img")))), "", 1}, /* no architecture */
        {PRODUCTS(PRODUCT("p", AMD64, VERSION("1", "\"disk.img\":{\"path\":\"../x\"}"))), "", 1},
        {PRODUCTS(PRODUCT("p", AMD64, VERSION("1", "\"disk.img\":{\"path\":\"/etc/passwd\"}"))), "", 1},
        {PRODUCTS(PRODUCT("p", AMD64, VERSION("1", "\"disk.img\":{\"path\":\"http://evil/x\"}"))), "", 1},
        {PRODUCTS(PRODUCT("p", AMD64, VERSION("1", "\"disk.img\":{\"path\":\"a\\u001b[2J\"}"))), "", 1},
        {PRODUCTS(PRODUCT("p", AMD64, VERSION("1", "\"disk.img\":{}"))), "", 1},
        {PRODUCTS(PRODUCT("p", AMD64, VERSION("1", "\"disk.img\":{\"path\":\"a\",\"sha256\":\"zz\"}"))), "",
         1},
        {PRODUCTS(PRODUCT("::", AMD64, VERSION("1", ITEM("disk.img")))), "",
         1}, /* nothing to make a name of */
        {PRODUCTS(
             "\"p\":7,\"q\":{\"versions\":[]},\"r\":{\"versions\":{\"1\":{\"items\":{\"disk.img\":null}}}}"),
         "", 1},
        {"{\"format\":\"products:1.0\"}", "", 0},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
        g_autoptr(Index) index = add(CASES[i].text, problems, NULL);
        g_autoptr(GString) found = g_string_new(NULL);

        assert_non_null(index);
        for (guint k = 0; k < index->entries->len; k++) {
            const IndexEntry *entry = fixture_entry(index, k);
            g_autofree char *aliases = entry->aliases == NULL ? NULL : g_strjoinv(" ", entry->aliases);

            g_string_append_printf(found, "%s %s %" G_GUINT64_FORMAT " %s%s%s;", entry->name, entry->arch,
                                   entry->revision, entry->file, aliases == NULL ? "" : " ",
                                   aliases == NULL ? "" : aliases);
            assert_int_equal(entry->size, 0);
            assert_int_equal(entry->compressed_size, 100);
            assert_string_equal(entry->sha256, SHA256_B);
            assert_non_null(index_entry_extension(entry, "x_product"));
        }
        if (strcmp(found->str, CASES[i].entries) != 0 || problems->len != CASES[i].problems)
            fail_msg("case %zu: %s (%u problems)", i, found->str, problems->len);
    }
}

static void
test_the_most_generic_disk_of_a_version_is_taken(void **state G_GNUC_UNUSED)
{
    static const char TEXT[] =
        PRODUCTS(PRODUCT("p", AMD64,
                         VERSION("1", "\"uefi1.img\":{\"path\":\"uefi\"},\"disk-kvm.img\":{\"path\":\"kvm\"},"
                                      "\"disk1.img\":{\"path\":\"one\","
                                      "\"sha512\":\"" SHA512_A "\"}")));
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    g_autoptr(Index) index = add(TEXT, problems, NULL);

    assert_string_equal(fixture_entry(index, 0)->file, "one");
    assert_string_equal(fixture_entry(index, 0)->sha512, SHA512_A);
}

static void
test_digests_in_upper_case_are_the_same_digests(void **state G_GNUC_UNUSED)
{
    g_autofree char *upper = g_ascii_strup(SHA256_B, -1), *longer = g_ascii_strup(SHA512_A, -1);
    g_autofree char *text = g_strdup_printf(
        PRODUCTS(
            PRODUCT("p", AMD64,
                    VERSION("1", "\"disk1.img\":{\"path\":\"one\",\"sha256\":\"%s\",\"sha512\":\"%s\"}"))),
        upper, longer);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    g_autoptr(Index) index = add(text, problems, NULL);

    assert_string_equal(fixture_entry(index, 0)->sha256, SHA256_B);
    assert_string_equal(fixture_entry(index, 0)->sha512, SHA512_A);
}

static void
test_what_is_no_file_of_products_is_an_error(void **state G_GNUC_UNUSED)
{
    static const char *const BAD[] = {"",
                                      "{",
                                      "[]",
                                      "7",
                                      "{\"format\":\"products:2.0\"}",
                                      "{\"format\":7}",
                                      "<html>",
                                      "{\"format\":\"products:1.0\",\"format\":\"products:1.0\"}"};

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
        g_autoptr(GError) error = NULL;

        if (add(BAD[i], problems, &error) != NULL)
            fail_msg("%s", BAD[i]);
        assert_non_null(strstr(error->message, "products"));
    }
}

static void
test_an_index_names_its_files_of_images(void **state G_GNUC_UNUSED)
{
#define FILE_OF(datatype, format, path)                                                                      \
    "{\"format\":\"index:1.0\",\"index\":{\"a\":{\"datatype\":\"" datatype "\",\"format\":\"" format         \
    "\",\"path\":\"" path "\"}}}"
    static const struct {
        const char *text, *paths; /* NULL: refused */
    } CASES[] = {
        {FILE_OF("image-downloads", "products:1.0", "streams/v1/x.json"), "streams/v1/x.json"},
        {FILE_OF("image-ids", "products:1.0", "streams/v1/x.json"), ""},
        {FILE_OF("image-downloads", "products:2.0", "streams/v1/x.json"), ""},
        {FILE_OF("image-downloads", "products:1.0", "../x.json"), NULL},
        {FILE_OF("image-downloads", "products:1.0", "/etc/passwd"), NULL},
        {FILE_OF("image-downloads", "products:1.0", "file:///etc/passwd"), NULL},
        {"{\"format\":\"index:1.0\",\"index\":{\"a\":{\"format\":\"products:1.0\"}}}", NULL},
        {"{\"format\":\"index:1.0\"}", ""},
        {"{\"format\":\"products:1.0\"}", NULL},
        {"{", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GBytes) bytes = g_bytes_new_static(CASES[i].text, strlen(CASES[i].text));
        g_auto(GStrv) paths = index_streams_paths(bytes, "index", NULL);
        g_autofree char *joined = paths == NULL ? NULL : g_strjoinv(" ", paths);

        if (g_strcmp0(joined, CASES[i].paths) != 0)
            fail_msg("case %zu: %s", i, joined);
    }
}

static void
test_more_than_the_limits_is_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) products = g_string_new("{\"format\":\"products:1.0\",\"products\":{");
    g_autoptr(GString) files = g_string_new("{\"format\":\"index:1.0\",\"index\":{");
    g_autofree char *blanks = g_strnfill(INDEX_MAX_STREAMS_BYTES + 1, ' ');
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
    g_autoptr(GError) many = NULL, large = NULL, named = NULL;
    g_autoptr(GBytes) bytes = NULL;

    for (unsigned i = 0; i <= INDEX_MAX_STREAMS_PRODUCTS; i++)
        g_string_append_printf(products, "%s\"%u\":{}", i == 0 ? "" : ",", i);
    g_string_append(products, "}}");
    assert_null(add(products->str, problems, &many));
    assert_non_null(strstr(many->message, "more than"));
    assert_null(add(blanks, problems, &large));
    assert_non_null(strstr(large->message, "larger"));
    for (unsigned i = 0; i <= INDEX_MAX_STREAMS_FILES; i++)
        g_string_append_printf(files, "%s\"%u\":{\"format\":\"products:1.0\",\"path\":\"p%u\"}",
                               i == 0 ? "" : ",", i, i);
    g_string_append(files, "}}");
    bytes = g_bytes_new(files->str, files->len);
    assert_null(index_streams_paths(bytes, "index", &named));
    assert_non_null(strstr(named->message, "more than"));
}

static GBytes *
read_data(const char *leaf)
{
    g_autofree char *data = data_folder(), *path = g_build_filename(data, "simplestreams", leaf, NULL);
    char *text;
    gsize size;

    assert_true(g_file_get_contents(path, &text, &size, NULL));
    return g_bytes_new_take(text, size);
}

static void
test_every_product_with_a_disk_in_the_recorded_streams_is_listed(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *index, *products, *path;
        guint entries;
        const char *first;
    } STREAMS[] = {
        {"cirros/index.json", "cirros/net.cirros-cloud_released_download.json",
         "streams/v1/net.cirros-cloud_released_download.json", 3, "net.cirros-cloud-standard-0.3"},
        {"incus/index.json", "incus/images.json", "streams/v1/images.json", 20, "chr-7.20.4-cloud"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(STREAMS); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify)index_problem_free);
        g_autoptr(GBytes) text = read_data(STREAMS[i].index), products = read_data(STREAMS[i].products);
        g_auto(GStrv) paths = index_streams_paths(text, "index", NULL);
        g_autoptr(Index) index = index_new();

        assert_int_equal(g_strv_length(paths), 1);
        assert_string_equal(paths[0], STREAMS[i].path);
        assert_true(index_streams_add(products, "products", index, problems, NULL));
        assert_int_equal(problems->len, 0);
        assert_int_equal(index->entries->len, STREAMS[i].entries);
        assert_string_equal(fixture_entry(index, 0)->name, STREAMS[i].first);
        for (guint k = 0; k < index->entries->len; k++)
            assert_true(fixture_entry(index, k)->sha256 != NULL &&
                        fixture_entry(index, k)->compressed_size > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_become_entries),
        cmocka_unit_test(test_the_most_generic_disk_of_a_version_is_taken),
        cmocka_unit_test(test_digests_in_upper_case_are_the_same_digests),
        cmocka_unit_test(test_what_is_no_file_of_products_is_an_error),
        cmocka_unit_test(test_an_index_names_its_files_of_images),
        cmocka_unit_test(test_more_than_the_limits_is_an_error),
        cmocka_unit_test(test_every_product_with_a_disk_in_the_recorded_streams_is_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
