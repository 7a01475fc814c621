// SPDX-License-Identifier: Apache-2.0
/* One block by its manifest: what is wrong anywhere is found before it counts. */
#include "disk/disk.h"

#include "base/digest.h"
#include "base/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)
#define RAW_BYTES (3u * DISK_BLOCK_BYTES + 5000u) /* blocks: text with holes, a hole, text, a short one */

typedef struct {
    uint8_t *raw;
    int packed;
    DiskManifest *manifest;
    DiskPacked result;
} Sample;

static int
new_file(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void
fill(uint8_t *data, size_t size)
{
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (uint8_t)('a' + x % 4);
    }
}

static int
make_sample(void **state, DiskCodec codec)
{
    Sample *sample = g_new0(Sample, 1);
    const DiskPackJob job = {.codec = codec, .threads = 2, .previous_fd = -1};
    g_auto(Fd) in = new_file();

    sample->raw = g_malloc0(RAW_BYTES);
    fill(sample->raw, 300000);
    fill(sample->raw + 8 * MIB + DISK_GRAIN, 3 * DISK_GRAIN);
    fill(sample->raw + 2 * DISK_BLOCK_BYTES + 100, 300000);
    fill(sample->raw + RAW_BYTES - 10, 10);
    assert_true(fd_pwrite_all(in, sample->raw, RAW_BYTES, 0, "in", NULL));
    sample->packed = new_file();
    assert_true(disk_pack(in, "in", sample->packed, "out", &job, &sample->result, NULL));
    sample->manifest = sample->result.manifest;
    assert_int_equal(sample->manifest->blocks->len, 4);
    *state = sample;
    return 0;
}

static int
make_xz_sample(void **state)
{
    return make_sample(state, DISK_XZ);
}

static int
make_zstd_sample(void **state)
{
    return make_sample(state, DISK_ZSTD);
}

static int
free_sample(void **state)
{
    Sample *sample = *state;

    fd_close(sample->packed);
    disk_packed_clear(&sample->result);
    g_free(sample->raw);
    g_free(sample);
    return 0;
}

static DiskManifestBlock *
place_of(const DiskManifest *manifest, guint number)
{
    return &g_array_index(manifest->blocks, DiskManifestBlock, number);
}

static uint8_t *
read_packed(const Sample *sample, guint number)
{
    const DiskManifestBlock *place = place_of(sample->manifest, number);
    uint8_t *packed = g_malloc(place->packed_size);

    assert_true(fd_pread_exact(sample->packed, packed, place->packed_size, place->packed_offset, "xz", NULL));
    return packed;
}

/* A manifest of one's own, to be changed. */
static DiskManifest *
copy_manifest(const DiskManifest *manifest)
{
    g_autoptr(GBytes) bytes = disk_manifest_print(manifest, NULL);
    DiskManifest *copy =
        disk_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "copy", NULL);

    assert_non_null(copy);
    return copy;
}

static void
every_block_comes_to_its_place_and_holes_stay_holes(void **state)
{
    const Sample *sample = *state;
    g_auto(Fd) out = new_file();
    g_autofree uint8_t *back = g_malloc(RAW_BYTES);
    struct stat status;

    assert_int_equal(ftruncate(out, RAW_BYTES), 0);
    for (guint i = 4; i-- > 0;) { /* in any order */
        g_autoptr(DiskBlock) block = NULL;
        bool is_same = true;

        assert_true(
            disk_block_compare(sample->manifest, i, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL));
        assert_int_equal(is_same, i == 1);
        assert_int_equal(disk_block_is_hole(sample->manifest, i), i == 1);
        block = disk_block_verify(sample->manifest, i, read_packed(sample, i));
        assert_non_null(block);
        assert_true(disk_block_unpack(block, &(DiskTarget){.fd = out, .name = "out"}, NULL));
        assert_true(
            disk_block_compare(sample->manifest, i, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL));
        assert_true(is_same);
    }
    assert_true(fd_pread_exact(out, back, RAW_BYTES, 0, "out", NULL));
    assert_memory_equal(back, sample->raw, RAW_BYTES);
    assert_int_equal(fstat(out, &status), 0);
    assert_true(status.st_blocks * 512 < (off_t)MIB);
}

static void
a_changed_byte_is_no_block_wherever_it_is(void **state)
{
    const Sample *sample = *state;
    const uint32_t size = place_of(sample->manifest, 0)->packed_size;
    const uint32_t at[] = {0, 1, 11, size / 2, size - 9, size - 1};

    for (size_t i = 0; i < G_N_ELEMENTS(at); i++) {
        uint8_t *packed = read_packed(sample, 0);

        packed[at[i]] ^= 0x20;
        assert_null(disk_block_verify(sample->manifest, 0, packed));
    }
    assert_null(
        disk_block_verify(sample->manifest, 2, g_malloc0(place_of(sample->manifest, 2)->packed_size)));
}

/* Bytes that the manifest vouches for, but that are no block. */
static void
what_does_not_decode_is_an_error_of_its_own(void **state)
{
    const Sample *sample = *state;
    const uint32_t size = place_of(sample->manifest, 0)->packed_size;
    const uint32_t at[] = {0, 1, 4, size / 2, size - 9, size - 1};

    for (size_t i = 0; i < G_N_ELEMENTS(at); i++) {
        g_autoptr(DiskManifest) manifest = copy_manifest(sample->manifest);
        g_autoptr(DiskBlock) block = NULL;
        g_autoptr(GError) error = NULL;
        g_auto(Fd) out = new_file();
        uint8_t *packed = read_packed(sample, 0);

        packed[at[i]] ^= 0x20;
        digest_sha256(packed, size, place_of(manifest, 0)->packed_sha256);
        block = disk_block_verify(manifest, 0, packed);
        assert_non_null(block);
        assert_false(disk_block_unpack(block, &(DiskTarget){.fd = out, .name = "out"}, &error));
        assert_non_null(error);
    }
}

static void
a_manifest_that_contradicts_itself_is_not_believed(void **state)
{
    const Sample *sample = *state;

    for (unsigned lie = 0; lie < 3; lie++) {
        g_autoptr(DiskManifest) manifest = copy_manifest(sample->manifest);
        g_autoptr(DiskBlock) block = NULL;
        g_autoptr(GError) error = NULL;
        g_auto(Fd) out = new_file();

        if (lie == 0)
            place_of(manifest, 0)->raw_sha256[5] ^= 1;
        else if (lie == 1) /* the second run of data is a hole */
            g_array_index(manifest->runs, uint64_t, 1) += 4;
        else /* the first run of data ends too early */
            g_array_index(manifest->runs, uint64_t, 0) -= 1;
        block = disk_block_verify(manifest, 0, read_packed(sample, 0));
        assert_false(disk_block_unpack(block, &(DiskTarget){.fd = out, .name = "out"}, &error));
        assert_true(g_error_matches(error, BASE_ERROR, BASE_ERROR_UNTRUSTED));
    }
}

static void
a_block_of_another_size_than_its_header_says_is_refused(void **state)
{
    const Sample *sample = *state;
    g_autoptr(DiskManifest) manifest = copy_manifest(sample->manifest);
    g_autoptr(DiskBlock) block = NULL;
    g_auto(Fd) out = new_file();

    place_of(manifest, 0)->raw_size -= DISK_GRAIN;
    block = disk_block_verify(manifest, 0, read_packed(sample, 0));
    assert_false(disk_block_unpack(block, &(DiskTarget){.fd = out, .name = "out"}, NULL));
}

static void
what_was_left_behind_is_found_and_erased(void **state)
{
    const Sample *sample = *state;
    g_auto(Fd) out = new_file();
    g_autoptr(DiskBlock) block = disk_block_verify(sample->manifest, 0, read_packed(sample, 0));
    bool is_same = true;

    assert_int_equal(ftruncate(out, RAW_BYTES), 0);
    assert_true(fd_pwrite_all(out, "x", 1, 12 * MIB, "out", NULL)); /* where the map has a hole */
    assert_true(fd_pwrite_all(out, "x", 1, DISK_BLOCK_BYTES, "out", NULL));
    for (guint i = 0; i < 2; i++) {
        assert_true(
            disk_block_compare(sample->manifest, i, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL));
        assert_false(is_same);
        assert_true(disk_block_erase(sample->manifest, i, &(DiskTarget){.fd = out, .name = "out"}, NULL));
    }
    assert_true(
        disk_block_compare(sample->manifest, 1, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL));
    assert_true(is_same);
    assert_true(disk_block_unpack(block, &(DiskTarget){.fd = out, .name = "out"}, NULL));
    assert_true(
        disk_block_compare(sample->manifest, 0, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL));
    assert_true(is_same);
}

static void
a_full_disk_is_an_error(void **state)
{
    const Sample *sample = *state;
    g_autoptr(DiskBlock) block = disk_block_verify(sample->manifest, 0, read_packed(sample, 0));
    g_auto(Fd) full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;

    assert_false(disk_block_unpack(block, &(DiskTarget){.fd = full, .name = "/dev/full"}, &error));
    assert_non_null(strstr(error->message, "No space left"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_comes_to_its_place_and_holes_stay_holes),
        cmocka_unit_test(a_changed_byte_is_no_block_wherever_it_is),
        cmocka_unit_test(what_does_not_decode_is_an_error_of_its_own),
        cmocka_unit_test(a_manifest_that_contradicts_itself_is_not_believed),
        cmocka_unit_test(a_block_of_another_size_than_its_header_says_is_refused),
        cmocka_unit_test(what_was_left_behind_is_found_and_erased),
        cmocka_unit_test(a_full_disk_is_an_error),
    };

    return cmocka_run_group_tests_name("xz", tests, make_xz_sample, free_sample) +
           cmocka_run_group_tests_name("zstd", tests, make_zstd_sample, free_sample);
}
