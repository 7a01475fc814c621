// SPDX-License-Identifier: Apache-2.0
/* Deltas: the image comes back from its base, whatever moved; what is damaged is refused before it reaches anything. */
#include "base/fd.h"
#include "disk/delta.h"
#include "disk/zstd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define G DISK_GRAIN

static int
memory(const void *data, size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    for (size_t at = 0; at < size; at += G) { /* holes stay holes */
        size_t n = MIN(G, size - at);
        static const uint8_t zero[G];

        if (memcmp((const uint8_t *)data + at, zero, n) != 0)
            assert_true(pwrite(fd, (const uint8_t *)data + at, n, (off_t)at) == (ssize_t)n);
    }
    return fd;
}

static void
noise(uint8_t *out, size_t size, guint32 seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)g_rand_int(rand);
}

/* write_delta: from @base to @image; the new bytes it carries. */
static uint64_t
write_delta(int base, int image, int out, unsigned threads)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskGrains) read = disk_grains_read(base, "base", &error);
    g_autoptr(GBytes) kept = disk_grains_print(read);
    g_autoptr(DiskGrains) grains = disk_grains_parse(kept, "kept", &error);
    uint64_t new_bytes = 0, size = 0, file_size;
    g_autofree char *sha512 = NULL;
    g_autoptr(DiskDelta) delta = NULL;

    assert_non_null(grains);
    delta = disk_delta_plan(image, "image", grains, &new_bytes, &error);
    assert_non_null(delta);
    memset(delta->base_sha512, 1, sizeof delta->base_sha512);
    memset(delta->image_sha512, 2, sizeof delta->image_sha512);
    if (!disk_delta_write(delta, image, "image", out, "delta", threads, NULL, &size, &sha512, &error))
        fail_msg("%s", error->message);
    assert_true(fd_size(out, "delta", &file_size, NULL));
    assert_int_equal(size, file_size);
    assert_int_equal(strlen(sha512), 128);
    return new_bytes;
}

static void
assert_applies(int delta_fd, int base, const uint8_t *image, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DiskDelta) delta = disk_delta_read(delta_fd, "delta", &error);
    g_autofree uint8_t *made = g_malloc(size + 1);
    g_auto(Fd) out = memfd_create("out", MFD_CLOEXEC);
    uint64_t made_size;

    if (delta == NULL)
        fail_msg("%s", error->message);
    assert_int_equal(delta->base_sha512[63], 1);
    assert_int_equal(delta->image_sha512[0], 2);
    if (!disk_delta_apply(delta, delta_fd, "delta", base, "base", out, "out", 2, NULL, &error))
        fail_msg("%s", error->message);
    assert_true(fd_size(out, "out", &made_size, NULL));
    assert_int_equal(made_size, size);
    assert_true(fd_pread_exact(out, made, size, 0, "out", NULL));
    assert_memory_equal(made, image, size);
}

static void
what_stayed_and_what_moved_is_copied(void **state G_GNUC_UNUSED)
{
    const size_t size = 3000 * G + 100, moved = 1000 * G;
    g_autofree uint8_t *old = g_malloc0(size), *new = g_malloc0(size);
    g_auto(Fd) base = -1, image = -1, delta = memfd_create("delta", MFD_CLOEXEC);

    noise(old, 1500 * G, 1);
    noise(old + 2900 * G, 100 * G + 100, 2);
    memcpy(new, old, 500 * G);
    memcpy(new + 500 * G + 37 * G, old + 500 * G, moved); /* shifted by 37 pieces */
    noise(new + 2000 * G, 10 * G, 3);
    memcpy(new + 2900 * G, old + 2900 * G, 100 * G + 100);
    base = memory(old, size);
    image = memory(new, size);
    assert_int_equal(write_delta(base, image, delta, 2), 10 * G);
    assert_applies(delta, base, new, size);
}

static void
images_of_any_size_come_back(void **state G_GNUC_UNUSED)
{
    static const size_t sizes[] = {0, 1, G - 1, G, G + 1, 5 * G + 7, DISK_DELTA_PIECE + 3 * G + 5};
    g_autofree uint8_t *old = g_malloc0(9 * G + 1);
    g_auto(Fd) base = -1;

    noise(old, 9 * G + 1, 1);
    base = memory(old, 9 * G + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree uint8_t *new = g_malloc0(sizes[i] + 1);
        g_auto(Fd) image = -1, one = memfd_create("one", MFD_CLOEXEC),
                   many = memfd_create("many", MFD_CLOEXEC);
        uint64_t one_size = 0, many_size = 0;

        noise(new, MIN(sizes[i], 6 * G), 7);
        for (size_t at = 6 * G; at < sizes[i]; at++) /* more noise would take half a minute to pack */
            new[at] = new[at - 6 * G];
        image = memory(new, sizes[i]);
        assert_int_equal(write_delta(base, image, one, 1), sizes[i]);
        write_delta(base, image, many, 3);
        assert_true(fd_size(one, "one", &one_size, NULL) && fd_size(many, "many", &many_size, NULL));
        assert_int_equal(one_size, many_size);
        assert_applies(one, base, new, sizes[i]);
        assert_applies(many, base, new, sizes[i]);
    }
}

static void
an_empty_base_gives_a_delta_with_everything(void **state G_GNUC_UNUSED)
{
    g_autofree uint8_t *new = g_malloc0(20 * G);
    g_auto(Fd) base = memory("", 0), image = -1, delta = memfd_create("delta", MFD_CLOEXEC);

    noise(new + 3 * G, 5 * G, 1);
    image = memory(new, 20 * G);
    assert_int_equal(write_delta(base, image, delta, 1), 5 * G);
    assert_applies(delta, base, new, 20 * G);
}

static void
a_base_of_another_size_is_not_used(void **state G_GNUC_UNUSED)
{
    g_autofree uint8_t *data = g_malloc0(20 * G);
    g_auto(Fd) base = -1, other = -1, delta_fd = memfd_create("delta", MFD_CLOEXEC),
               out = memfd_create("out", MFD_CLOEXEC);
    g_autoptr(DiskDelta) delta = NULL;
    g_autoptr(GError) error = NULL;

    noise(data, 20 * G, 1);
    base = memory(data, 20 * G);
    other = memory(data, 19 * G);
    write_delta(base, base, delta_fd, 1);
    delta = disk_delta_read(delta_fd, "delta", NULL);
    assert_false(disk_delta_apply(delta, delta_fd, "delta", other, "other", out, "out", 1, NULL, &error));
    assert_non_null(strstr(error->message, "other: has 77824 bytes, and the delta is for a base of 81920"));
}

/* Every byte changed, one at a time: refused, or an image that the manifest will tell from the right one; never a crash. */
static void
damage_never_reaches_beyond_the_files(void **state G_GNUC_UNUSED)
{
    g_autofree uint8_t *old = g_malloc0(40 * G), *new = g_malloc0(40 * G);
    g_auto(Fd) base = -1, image = -1, delta_fd = memfd_create("delta", MFD_CLOEXEC);
    uint64_t size;
    unsigned refused = 0;

    noise(old, 30 * G, 1);
    memcpy(new, old + 5 * G, 20 * G);
    memset(new + 30 * G, 'x', 3 * G);
    base = memory(old, 40 * G);
    image = memory(new, 40 * G);
    write_delta(base, image, delta_fd, 1);
    assert_true(fd_size(delta_fd, "delta", &size, NULL));
    for (uint64_t at = 0; at < size; at++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(DiskDelta) delta = NULL;
        g_auto(Fd) out = memfd_create("out", MFD_CLOEXEC);
        uint8_t byte;

        assert_true(pread(delta_fd, &byte, 1, (off_t)at) == 1);
        byte ^= 0x41;
        assert_true(pwrite(delta_fd, &byte, 1, (off_t)at) == 1);
        delta = disk_delta_read(delta_fd, "delta", &error);
        if (delta == NULL ||
            !disk_delta_apply(delta, delta_fd, "delta", base, "base", out, "out", 1, NULL, &error)) {
            assert_non_null(error);
            refused++;
        }
        byte ^= 0x41;
        assert_true(pwrite(delta_fd, &byte, 1, (off_t)at) == 1);
    }
    assert_true(refused > size / 4);
    assert_true(ftruncate(delta_fd, (off_t)size - 1) == 0);
    assert_null(disk_delta_read(delta_fd, "delta", NULL));
}

/* Numbers that grow by some 5: xz packs them in little more than half of what zstd takes. */
static void
numbers(uint8_t *out, size_t size)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(9);

    for (size_t i = 0; i < size / 4; i++) {
        guint32 number = GUINT32_TO_LE((guint32)(i * 5) + (guint32)g_rand_int_range(rand, 0, 3));

        memcpy(out + 4 * i, &number, 4);
    }
}

static void
what_xz_packs_much_smaller_is_xz_and_damage_is_found(void **state G_GNUC_UNUSED)
{
    const size_t size = 20 * G;
    g_autofree uint8_t *new = g_malloc(size);
    g_auto(Fd) base = memory("", 0), image = -1, fd = memfd_create("delta", MFD_CLOEXEC);
    g_autoptr(DiskDelta) delta = NULL;
    DiskDeltaPiece piece;
    uint8_t start[2], byte;

    numbers(new, size);
    image = memory(new, size);
    assert_int_equal(write_delta(base, image, fd, 1), size);
    assert_applies(fd, base, new, size);
    delta = disk_delta_read(fd, "delta", NULL);
    assert_int_equal(delta->pieces->len, 1);
    piece = g_array_index(delta->pieces, DiskDeltaPiece, 0);
    assert_true(piece.size < size / 5);
    assert_true(fd_pread_exact(fd, start, sizeof start, piece.offset, "delta", NULL));
    assert_int_equal(start[1] & 0x3c, 0); /* an .xz block's reserved flags; a zstd frame has 0xb5 there */
    for (uint32_t at = 0; at < piece.size; at += at < 40 ? 1 : 97) {
        g_auto(Fd) out = memfd_create("out", MFD_CLOEXEC);
        g_autoptr(GError) error = NULL;

        assert_true(pread(fd, &byte, 1, (off_t)(piece.offset + at)) == 1);
        byte ^= 0x41;
        assert_true(pwrite(fd, &byte, 1, (off_t)(piece.offset + at)) == 1);
        assert_false(disk_delta_apply(delta, fd, "delta", base, "base", out, "out", 1, NULL, &error));
        assert_non_null(error);
        byte ^= 0x41;
        assert_true(pwrite(fd, &byte, 1, (off_t)(piece.offset + at)) == 1);
    }
}

typedef struct {
    const char *label;
    uint8_t map[8];
    size_t size;
    const char *refusal; /* NULL: taken */
} MapRow;

static void
maps_are_refused_that_do_not_fit(void **state G_GNUC_UNUSED)
{
    /* An image of 4 pieces, a base of 2 and a half; kinds: 0 zeroes, 1 from the base, 2 new. */
    static const MapRow rows[] = {
        {"zeroes", {4 << 2}, 1, NULL},
        {"new", {4 << 2 | 2}, 1, NULL},
        {"two of the base twice", {2 << 2 | 1, 0, 2 << 2 | 1, 3}, 4, NULL},
        {"too short", {3 << 2}, 1, "shorter"},
        {"nothing", {0}, 0, "shorter"},
        {"too long", {5 << 2}, 1, "longer"},
        {"no length", {0, 4 << 2}, 2, "impossible run"},
        {"kind 3", {4 << 2 | 3}, 1, "impossible run"},
        {"no distance", {4 << 2 | 1}, 1, "impossible run"},
        {"a longer form of a number", {0x90, 0x00}, 2, "impossible run"},
        {"cut in a number", {0x90}, 1, "impossible run"},
        {"beyond the base", {3 << 2 | 1, 0, 1 << 2}, 3, "beyond the base"},
        {"a full piece from the short one", {1 << 2 | 1, 4, 3 << 2}, 3, "beyond the base"},
        {"before the base", {1 << 2 | 1, 1, 3 << 2}, 3, "beyond the base"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(DiskDelta) delta = disk_delta_new();
        g_autoptr(GError) error = NULL;
        bool is_taken;

        delta->base_size = 2 * G + G / 2;
        delta->raw_size = 4 * G;
        is_taken = delta_map_parse(rows[i].map, rows[i].size, delta, "delta", &error);
        if (is_taken != (rows[i].refusal == NULL) ||
            (!is_taken && strstr(error->message, rows[i].refusal) == NULL))
            fail_msg("%s: %s", rows[i].label, error != NULL ? error->message : "was taken");
    }
}

static void
a_kept_list_of_grains_is_read_strictly(void **state G_GNUC_UNUSED)
{
    g_autofree uint8_t *data = g_malloc0(4 * G), *kept = NULL;
    g_auto(Fd) fd = -1;
    g_autoptr(DiskGrains) grains = NULL;
    g_autoptr(GBytes) bytes = NULL;
    size_t size;

    noise(data, 2 * G, 1);
    fd = memory(data, 4 * G);
    grains = disk_grains_read(fd, "base", NULL);
    assert_int_equal(grains->grains->len, 2);
    bytes = disk_grains_print(grains);
    kept = g_memdup2(g_bytes_get_data(bytes, &size), g_bytes_get_size(bytes));
    for (size_t cut = 0; cut < size; cut++) {
        g_autoptr(GBytes) part = g_bytes_new(kept, cut);

        assert_null(disk_grains_parse(part, "kept", NULL));
    }
    kept[24] = 1; /* both at position 1 */
    {
        g_autoptr(GBytes) twice = g_bytes_new(kept, size);

        assert_null(disk_grains_parse(twice, "kept", NULL));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stayed_and_what_moved_is_copied),
        cmocka_unit_test(images_of_any_size_come_back),
        cmocka_unit_test(an_empty_base_gives_a_delta_with_everything),
        cmocka_unit_test(a_base_of_another_size_is_not_used),
        cmocka_unit_test(damage_never_reaches_beyond_the_files),
        cmocka_unit_test(what_xz_packs_much_smaller_is_xz_and_damage_is_found),
        cmocka_unit_test(maps_are_refused_that_do_not_fit),
        cmocka_unit_test(a_kept_list_of_grains_is_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
