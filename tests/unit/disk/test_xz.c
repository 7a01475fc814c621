// SPDX-License-Identifier: Apache-2.0
/* xz both ways, against the real xz where it is installed. */
#include "disk/disk.h"

#include "base/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int
open_in_dir(const char *name, int flags)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, flags | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static bool
shell(const char *command)
{
    g_autofree char *text = g_strdup_printf("cd '%s'; %s", dir, command);
    const char *argv[] = {"sh", "-ec", text, NULL};
    int status = 1;

    return g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status,
                        NULL) &&
           status == 0;
}

static bool
has_xz(void)
{
    g_autofree char *path = g_find_program_in_path("xz");

    return path != NULL;
}

/* Bytes that xz cannot shrink, the same at every run. */
static void
fill_noise(uint8_t *data, size_t size)
{
    uint64_t x = 88172645463325252u;

    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)x;
    }
}

/* 100 MiB and one byte: noise over a block border, text, zero blocks, holes, a short last block. */
static void
make_image(const char *name)
{
    g_auto(Fd) fd = open_in_dir(name, O_RDWR | O_CREAT | O_TRUNC);
    g_autofree uint8_t *noise = g_malloc(1 << 20);

    fill_noise(noise, 1 << 20);
    assert_true(fd_pwrite_all(fd, noise, 1 << 20, DISK_BLOCK_BYTES - 5000, name, NULL));
    assert_true(fd_pwrite_all(fd, "hello", 5, 80u << 20, name, NULL));
    assert_int_equal(ftruncate(fd, (100 << 20) + 1), 0);
}

static char *
digest_of(const char *name)
{
    g_auto(Fd) fd = open_in_dir(name, O_RDONLY);

    return digest_file(DIGEST_SHA512, fd, name, NULL);
}

static void
compress(const char *from, const char *to, DiskPacked *out_result)
{
    g_auto(Fd) in = open_in_dir(from, O_RDONLY);
    g_auto(Fd) out = open_in_dir(to, O_RDWR | O_CREAT | O_TRUNC);
    const DiskPackJob job = {.threads = 2};
    g_autoptr(GError) error = NULL;

    if (!disk_pack(in, from, out, to, &job, out_result, &error))
        fail_msg("%s", error->message);
}

static bool
decompress(const char *from, const char *to, uint64_t max_size, GError **error)
{
    g_auto(Fd) in = open_in_dir(from, O_RDONLY);
    g_auto(Fd) out = open_in_dir(to, O_RDWR | O_CREAT | O_TRUNC);

    return disk_xz_decompress(in, from, out, to, max_size, 2, NULL, error);
}

static void
what_is_compressed_comes_back_with_its_holes(void **state G_GNUC_UNUSED)
{
    g_auto(DiskPacked) result = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *packed = NULL, *before = NULL, *after = NULL;
    g_auto(Fd) fd = -1;
    struct stat st;
    uint64_t size;

    make_image("a.raw");
    compress("a.raw", "a.xz", &result);
    packed = digest_of("a.xz");
    assert_string_equal(packed, result.sha512);
    assert_int_equal(result.raw_size, (100 << 20) + 1);
    fd = open_in_dir("a.xz", O_RDONLY);
    fstat(fd, &st);
    assert_int_equal(st.st_size, result.compressed_size);
    assert_true(disk_is_xz(fd));
    assert_true(disk_xz_raw_size(fd, "a.xz", &size, &error));
    assert_int_equal(size, result.raw_size);
    assert_true(decompress("a.xz", "b.raw", size, &error));
    before = digest_of("a.raw");
    after = digest_of("b.raw");
    assert_string_equal(before, after);
    fd_close(fd);
    fd = open_in_dir("b.raw", O_RDONLY);
    fstat(fd, &st);
    assert_true(st.st_blocks * 512 < 2 << 20);
}

static void
the_real_xz_reads_what_we_write(void **state G_GNUC_UNUSED)
{
    g_auto(DiskPacked) result = {0};

    if (!has_xz())
        skip();
    make_image("a.raw");
    compress("a.raw", "a.xz", &result);
    assert_true(shell("xz -t a.xz && xz -dc a.xz | cmp - a.raw"));
    assert_true(shell("xz -lvv a.xz | grep -q 'Sizes in headers: *Yes'"));
    assert_true(shell("xz -lvv a.xz | grep -q ' 7 .*CRC64 .* cu .*dict=16MiB'"));
}

static void
data_that_cannot_shrink_is_stored(void **state G_GNUC_UNUSED)
{
    g_autofree uint8_t *noise = g_malloc(3 << 20);
    g_auto(DiskPacked) result = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(dir, "noise", NULL);

    fill_noise(noise, 3 << 20);
    assert_true(file_write_atomic(path, noise, 3 << 20, 0600, NULL));
    compress("noise", "noise.xz", &result);
    assert_in_range(result.compressed_size, 3 << 20, (3 << 20) + 4096);
    assert_true(decompress("noise.xz", "noise2", 3 << 20, &error));
}

static void
every_kind_of_xz_file_is_read(void **state G_GNUC_UNUSED)
{
    static const char *const recipes[] = {
        "xz -T1 -c",
        "xz -T1 --block-size=256KiB -c",
        "xz -0 --check=sha256 -c",
        "xz --check=none -c",
        "xz --x86 --lzma2=preset=1 -c",
        "two() { xz -1c \"$1\"; head -c 8 /dev/zero; }; two",
    };

    if (!has_xz())
        skip();
    assert_true(shell("seq 1 300000 > s.raw"));
    for (size_t i = 0; i < G_N_ELEMENTS(recipes); i++) {
        g_autofree char *command = g_strdup_printf("%s s.raw > s.xz", recipes[i]);
        g_autoptr(GError) error = NULL;

        assert_true(shell(command));
        if (!decompress("s.xz", "s2.raw", 1 << 30, &error))
            fail_msg("%s: %s", recipes[i], error->message);
        assert_true(shell("cmp s.raw s2.raw"));
    }
}

static void
damaged_oversized_and_greedy_files_are_refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *recipe, *message;
        uint64_t max_size;
    } cases[] = {
        {"xz -c s.raw", "unpacks to 1988895 bytes, at most 1988894 are allowed", 1988894},
        {"xz -c s.raw | head -c -4", "damaged or truncated", 1 << 30},
        {"xz -c s.raw | head -c 1000", "damaged or truncated", 1 << 30},
        {"xz -c s.raw | tail -c +5", "not an .xz file", 1 << 30},
        {"cat s.raw", "not an .xz file", 1 << 30},
        {"printf ''", "not an .xz file", 1 << 30},
        {"xz -c s.raw > t; printf X | dd of=t bs=1 seek=5000 conv=notrunc; cat t", "damaged or truncated",
         1 << 30},
        {"xz --lzma2=dict=1GiB -c s.raw", "more memory than the limit allows", 1 << 30},
    };

    if (!has_xz())
        skip();
    assert_true(shell("seq 1 300000 > s.raw"));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *command = g_strdup_printf("{ %s; } > s.xz", cases[i].recipe);
        g_autoptr(GError) error = NULL;

        assert_true(shell(command));
        assert_false(decompress("s.xz", "s2.raw", cases[i].max_size, &error));
        if (strstr(error->message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].recipe, error->message);
    }
}

static void
an_empty_image_is_an_empty_stream(void **state G_GNUC_UNUSED)
{
    g_auto(DiskPacked) result = {0};
    g_autoptr(GError) error = NULL;

    close(open_in_dir("empty", O_RDWR | O_CREAT | O_TRUNC));
    compress("empty", "empty.xz", &result);
    assert_int_equal(result.compressed_size, 32);
    assert_true(decompress("empty.xz", "empty2", 0, &error));
}

/* A file of which no more can be read than a writer has said: every read is counted, none goes beyond. */
typedef struct {
    int fd;
    uint64_t allowed, most;
} Growing;

static bool
read_growing(void *context, void *data, size_t size, uint64_t offset, GError **error)
{
    Growing *growing = context;

    growing->most = MAX(growing->most, offset + size);
    if (offset + size > growing->allowed)
        return error_set(error, "not there yet");
    return fd_pread_exact(growing->fd, data, size, offset, "growing", error);
}

static DiskManifest *
unpack_with_manifest(const char *from, const char *to)
{
    g_auto(Fd) in = open_in_dir(from, O_RDONLY);
    g_auto(Fd) out = open_in_dir(to, O_RDWR | O_CREAT | O_TRUNC);
    Growing growing = {in, UINT64_MAX, 0};
    DiskXzInput input = {.read = read_growing, .context = &growing};
    g_autoptr(DiskXzUnpack) unpack = NULL;
    g_autoptr(GError) error = NULL;
    DiskManifest *manifest;
    bool is_end = false;

    assert_true(fd_size(in, from, &input.size, NULL));
    unpack = disk_xz_unpack_new(&input, out, from, 1 << 30, true, &error);
    if (unpack == NULL)
        fail_msg("%s", error->message);
    while (!is_end)
        if (!disk_xz_unpack_next(unpack, &is_end, &error))
            fail_msg("%s", error->message);
    assert_true(disk_xz_unpack_manifest(unpack, &manifest, &error));
    assert_true(growing.most <= input.size);
    return manifest;
}

static void
unpacking_finds_the_manifest_that_the_publisher_had(void **state G_GNUC_UNUSED)
{
    g_auto(DiskPacked) packed = {0};
    g_autoptr(DiskManifest) found = NULL;
    g_autoptr(GBytes) one = NULL, other = NULL;

    make_image("a.raw");
    compress("a.raw", "a.xz", &packed);
    found = unpack_with_manifest("a.xz", "b.raw");
    assert_non_null(found);
    one = disk_manifest_print(packed.manifest, NULL);
    other = disk_manifest_print(found, NULL);
    assert_true(g_bytes_equal(one, other));
}

static void
a_manifest_is_made_of_what_it_can_describe_alone(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *recipe;
        bool has_manifest;
    } cases[] = {
        {"xz -T1 -c s.raw", true},
        {"xz -T1 --block-size=100001 -c s.raw", true}, /* blocks that end within a grain */
        {"xz --check=crc32 --block-size=1MiB -c s.raw", true},
        {"xz --check=none -c s.raw", false},
        {"xz -1c s.raw; head -c 8 /dev/zero", false},
        {"xz -1c s.raw; xz -1c s.raw", false},
        {"xz -1c /dev/null", false},
        {"head -c 68157440 /dev/zero | xz -0 -T1 -c", false}, /* one block of 65 MiB */
    };

    if (!has_xz())
        skip();
    assert_true(shell("{ seq 1 300000; head -c 500000 /dev/zero; seq 1 9; } > s.raw"));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *command = g_strdup_printf("{ %s; } > s.xz", cases[i].recipe);
        g_autoptr(DiskManifest) manifest = NULL, again = NULL;
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(GError) error = NULL;
        g_auto(Fd) fd = -1;

        assert_true(shell(command));
        manifest = unpack_with_manifest("s.xz", "s2.raw");
        if ((manifest != NULL) != cases[i].has_manifest)
            fail_msg("%s", cases[i].recipe);
        if (manifest == NULL)
            continue;
        bytes = disk_manifest_print(manifest, NULL);
        again = disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "m", &error);
        if (again == NULL)
            fail_msg("%s: %s", cases[i].recipe, error->message);
        fd = open_in_dir("s2.raw", O_RDONLY);
        for (guint k = 0; k < again->blocks->len; k++) {
            bool is_same = false;

            assert_true(
                disk_block_compare(again, k, &(DiskTarget){.fd = fd, .name = "s2.raw"}, &is_same, NULL) &&
                is_same);
        }
        assert_true(shell("cmp s.raw s2.raw"));
    }
}

static void
what_is_not_there_yet_is_waited_for_and_nothing_behind_it_is_read(void **state G_GNUC_UNUSED)
{
    g_auto(DiskPacked) packed = {0};
    g_autoptr(GError) error = NULL;
    g_auto(Fd) in = -1, out = -1;
    Growing growing = {.allowed = UINT64_MAX};
    DiskXzInput input = {.read = read_growing, .context = &growing};
    g_autoptr(DiskXzUnpack) unpack = NULL;
    const DiskManifestBlock *second;
    bool is_end;

    make_image("a.raw");
    compress("a.raw", "a.xz", &packed);
    second = &g_array_index(packed.manifest->blocks, DiskManifestBlock, 1);
    growing.fd = in = open_in_dir("a.xz", O_RDONLY);
    out = open_in_dir("b.raw", O_RDWR | O_CREAT | O_TRUNC);
    input.size = packed.compressed_size;
    unpack = disk_xz_unpack_new(&input, out, "a.xz", 1 << 30, false, NULL);
    assert_non_null(unpack);
    growing.allowed = second->packed_offset;
    growing.most = 0;
    assert_true(disk_xz_unpack_next(unpack, &is_end, &error)); /* the first block is whole */
    assert_true(growing.most <= growing.allowed);
    assert_false(disk_xz_unpack_next(unpack, &is_end, &error));
    assert_string_equal(error->message, "not there yet");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_compressed_comes_back_with_its_holes),
        cmocka_unit_test(the_real_xz_reads_what_we_write),
        cmocka_unit_test(data_that_cannot_shrink_is_stored),
        cmocka_unit_test(every_kind_of_xz_file_is_read),
        cmocka_unit_test(damaged_oversized_and_greedy_files_are_refused),
        cmocka_unit_test(an_empty_image_is_an_empty_stream),
        cmocka_unit_test(unpacking_finds_the_manifest_that_the_publisher_had),
        cmocka_unit_test(a_manifest_is_made_of_what_it_can_describe_alone),
        cmocka_unit_test(what_is_not_there_yet_is_waited_for_and_nothing_behind_it_is_read),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
