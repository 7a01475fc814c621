// SPDX-License-Identifier: Apache-2.0
/* Compression's manifest against the file it describes, and blocks that are taken over from the image before. */
#include "disk/disk.h"

#include "base/digest.h"
#include "base/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCK ((uint64_t)DISK_BLOCK_BYTES)

static int
new_file(void)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void
write_noise(int fd, uint64_t offset, size_t size, uint64_t seed)
{
    g_autofree uint8_t *data = g_malloc(size);
    uint64_t x = 88172645463325252u + seed;

    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)(x & 15);
    }
    assert_true(fd_pwrite_all(fd, data, size, offset, "image", NULL));
}

/* Six blocks and a short one: data, data, hole, written zeroes, data over a border, a short last block. */
static int
new_image(void)
{
    int fd = new_file();
    g_autofree uint8_t *zeroes = g_malloc0(DISK_BLOCK_BYTES);

    write_noise(fd, 0, 100000, 1);
    write_noise(fd, BLOCK + 8192, 50000, 2);
    assert_true(fd_pwrite_all(fd, zeroes, DISK_BLOCK_BYTES, 3 * BLOCK, "image", NULL));
    write_noise(fd, 5 * BLOCK - 5000, 10000, 3);
    assert_int_equal(ftruncate(fd, (off_t)(6 * BLOCK + 5001)), 0);
    return fd;
}

static int
compress(const DiskCodec *codec, int in, unsigned threads, const DiskManifest *previous, int previous_fd,
         DiskPacked *out_result)
{
    const DiskPackJob job = {
        .codec = *codec, .threads = threads, .previous = previous, .previous_fd = previous_fd};
    g_autoptr(GError) error = NULL;
    int out = new_file();

    if (!disk_pack(in, "image", out, "image.xz", &job, out_result, &error))
        fail_msg("%s", error->message);
    return out;
}

static void
assert_digest(int fd, uint64_t offset, size_t size, const uint8_t *sha256)
{
    g_autofree uint8_t *data = g_malloc(size);
    uint8_t found[DISK_SHA256_BYTES];

    assert_true(fd_pread_exact(fd, data, size, offset, "file", NULL));
    digest_sha256(data, size, found);
    assert_memory_equal(found, sha256, DISK_SHA256_BYTES);
}

static void
the_manifest_covers_every_byte(void **state)
{
    g_auto(Fd) in = new_image();
    g_auto(DiskPacked) result = {0};
    g_auto(Fd) out = compress(*state, in, 2, NULL, -1, &result);
    const DiskManifest *manifest = result.manifest;
    g_autoptr(GBytes) printed = disk_manifest_print(manifest, NULL);
    g_autoptr(DiskManifest) parsed =
        disk_manifest_parse(g_bytes_get_data(printed, NULL), g_bytes_get_size(printed), "m", NULL);
    uint64_t size, start, end;

    assert_non_null(parsed);
    assert_true(fd_size(out, "xz", &size, NULL));
    assert_int_equal(parsed->packed_size, size);
    assert_int_equal(parsed->blocks->len, 7);
    if (parsed->codec == DISK_XZ) {
        assert_digest(out, 0, parsed->head.size, parsed->head.sha256);
        assert_digest(out, size - parsed->tail.size, parsed->tail.size, parsed->tail.sha256);
    }
    for (guint i = 0; i < parsed->blocks->len; i++) {
        const DiskManifestBlock *block = &g_array_index(parsed->blocks, DiskManifestBlock, i);

        assert_digest(out, block->packed_offset, block->packed_size, block->packed_sha256);
        assert_digest(in, block->raw_offset, block->raw_size, block->raw_sha256);
    }
    assert_true(disk_manifest_next_data(parsed, 100352, parsed->raw_size, &start, &end));
    assert_int_equal(start, 100352);
    assert_int_equal(end, 102400);
    assert_true(disk_manifest_next_data(parsed, end, parsed->raw_size, &start, &end));
    assert_int_equal(start, BLOCK + 8192);
    assert_true(disk_manifest_next_data(parsed, end, parsed->raw_size, &start, &end));
    assert_int_equal(start, 5 * BLOCK - 8192);
    assert_int_equal(end, 5 * BLOCK + 8192);
    assert_false(disk_manifest_next_data(parsed, end, parsed->raw_size, &start, &end));
}

static void
the_same_image_gives_the_same_bytes(void **state)
{
    g_auto(Fd) in = new_image();
    g_auto(DiskPacked) one = {0}, many = {0}, again = {0};
    g_auto(Fd) first = compress(*state, in, 1, NULL, -1, &one);
    g_auto(Fd) second = compress(*state, in, 5, NULL, -1, &many);
    g_auto(Fd) third = compress(*state, in, 2, one.manifest, first, &again);

    assert_string_equal(one.sha512, many.sha512);
    assert_string_equal(one.sha512, again.sha512);
    assert_int_equal(one.reused_bytes, 0);
    assert_int_equal(again.reused_bytes, 4 * BLOCK + 5001); /* zeroes are made, not copied */
}

static void
only_changed_blocks_are_compressed_again(void **state)
{
    g_auto(Fd) in = new_image();
    g_auto(DiskPacked) before = {0}, fresh = {0}, reused = {0};
    g_auto(Fd) first = compress(*state, in, 2, NULL, -1, &before);
    g_auto(Fd) second = -1, third = -1;

    write_noise(in, 4096, 10, 9);          /* the first block */
    write_noise(in, 2 * BLOCK + 1, 10, 9); /* what was a hole */
    second = compress(*state, in, 2, NULL, -1, &fresh);
    third = compress(*state, in, 2, before.manifest, first, &reused);
    assert_string_equal(fresh.sha512, reused.sha512);
    assert_string_not_equal(fresh.sha512, before.sha512);
    assert_int_equal(reused.reused_bytes, 3 * BLOCK + 5001);
}

static void
damage_in_the_image_before_only_costs_time(void **state)
{
    g_auto(Fd) in = new_image();
    g_auto(DiskPacked) before = {0}, flipped = {0}, cut = {0}, other_check = {0};
    g_auto(Fd) first = compress(*state, in, 2, NULL, -1, &before);
    g_auto(Fd) second = -1, third = -1, fourth = -1;
    const DiskManifestBlock *block = &g_array_index(before.manifest->blocks, DiskManifestBlock, 1);

    assert_true(fd_pwrite_all(first, "?", 1, block->packed_offset + 100, "xz", NULL));
    second = compress(*state, in, 2, before.manifest, first, &flipped);
    assert_string_equal(flipped.sha512, before.sha512);
    assert_int_equal(flipped.reused_bytes, 3 * BLOCK + 5001);
    assert_int_equal(ftruncate(first, 5), 0);
    third = compress(*state, in, 2, before.manifest, first, &cut);
    assert_string_equal(cut.sha512, before.sha512);
    assert_int_equal(cut.reused_bytes, 0);
    if (before.manifest->codec == DISK_XZ)
        before.manifest->check = 1; /* as if the file had another integrity check */
    else
        before.manifest->codec = DISK_XZ;
    fourth = compress(*state, in, 2, before.manifest, second, &other_check);
    assert_int_equal(other_check.reused_bytes, 0);
}

/* The manifest says so, but the block is another one: its header is looked at too. */
static void
a_block_of_another_size_is_not_taken(void **state)
{
    g_auto(Fd) in = new_image();
    g_auto(DiskPacked) before = {0}, after = {0};
    g_auto(Fd) first = compress(*state, in, 2, NULL, -1, &before);
    g_auto(Fd) second = -1;
    DiskManifestBlock *blocks = &g_array_index(before.manifest->blocks, DiskManifestBlock, 0);

    blocks[0].packed_offset = blocks[6].packed_offset;
    blocks[0].packed_size = blocks[6].packed_size;
    memcpy(blocks[0].packed_sha256, blocks[6].packed_sha256, DISK_SHA256_BYTES);
    second = compress(*state, in, 2, before.manifest, first, &after);
    assert_string_equal(after.sha512, before.sha512);
    assert_int_equal(after.reused_bytes, 3 * BLOCK + 5001);
}

static void
an_output_that_cannot_be_written_stops_every_thread(void **state)
{
    const DiskCodec *codec = *state;
    g_auto(Fd) in = new_image();
    g_auto(Fd) full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    g_auto(DiskPacked) result = {0};
    g_autoptr(GError) error = NULL;
    const DiskPackJob job = {.codec = *codec, .threads = 3};

    assert_false(disk_pack(in, "image", full, "image.xz", &job, &result, &error));
    assert_non_null(strstr(error->message, "No space left"));
    assert_null(result.manifest);
}

static void
a_twin_has_the_same_blocks_in_another_codec(void **state G_GNUC_UNUSED)
{
    static const DiskCodec XZ = DISK_XZ, ZSTD = DISK_ZSTD;
    g_auto(Fd) in = new_image();
    g_auto(DiskPacked) first = {0}, second = {0}, other = {0};
    g_auto(Fd) xz = compress(&XZ, in, 2, NULL, -1, &first);
    g_auto(Fd) zstd = compress(&ZSTD, in, 2, first.manifest, xz, &second);
    g_auto(Fd) changed = -1;

    assert_int_equal(second.reused_bytes, 0);
    assert_true(disk_manifest_is_twin(first.manifest, second.manifest));
    write_noise(in, 4096, 10, 9);
    changed = compress(&ZSTD, in, 2, second.manifest, zstd, &other);
    assert_false(disk_manifest_is_twin(first.manifest, other.manifest));
    assert_int_equal(other.reused_bytes, 3 * BLOCK + 5001);
}

#define WITH_BOTH(test)                                                                                      \
    {#test " xz", test, NULL, NULL, &CODECS[0]},                                                             \
    {                                                                                                        \
#test " zstd", test, NULL, NULL, &CODECS[1]                                                          \
    }

int
main(void)
{
    static DiskCodec CODECS[] = {DISK_XZ, DISK_ZSTD};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_twin_has_the_same_blocks_in_another_codec),
        WITH_BOTH(the_manifest_covers_every_byte),
        WITH_BOTH(the_same_image_gives_the_same_bytes),
        WITH_BOTH(only_changed_blocks_are_compressed_again),
        WITH_BOTH(damage_in_the_image_before_only_costs_time),
        WITH_BOTH(a_block_of_another_size_is_not_taken),
        WITH_BOTH(an_output_that_cannot_be_written_stops_every_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
