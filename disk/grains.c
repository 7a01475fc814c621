// SPDX-License-Identifier: Apache-2.0
/* The digests of an image's pieces, all that a delta needs to know of its base. As a file: magic, the image's size, the
 * number of pieces, then position and digest of each; little-endian. */
#include "base/digest.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "disk/sparse.h"

#include <string.h>

#define BUFFER_BYTES (1u << 20)
#define HEADER_BYTES 24u
#define RECORD_BYTES (4u + DISK_GRAIN_DIGEST_BYTES)

static const uint8_t MAGIC[8] = {0x89, 'v', 'd', 'g', '\r', '\n', 0x1a, 1};

static DiskGrains *
grains_new(uint64_t size)
{
    DiskGrains *grains = g_new0(DiskGrains, 1);

    grains->size = size;
    grains->grains = g_array_new(FALSE, FALSE, sizeof(DiskGrain));
    return grains;
}

void
disk_grains_free(DiskGrains *grains)
{
    if (grains == NULL)
        return;
    g_array_unref(grains->grains);
    g_free(grains);
}

/* The last piece of an image may be short; it is equal to another short one alone, as its digest is. */
static void
add_pieces(DiskGrains *grains, const uint8_t *data, size_t size, uint64_t offset)
{
    for (size_t at = 0; at < size; at += DISK_GRAIN) {
        size_t piece = MIN(DISK_GRAIN, size - at);
        DiskGrain grain = {.at = (uint32_t)((offset + at) / DISK_GRAIN)};
        uint8_t digest[DIGEST_SHA256_BYTES];

        if (disk_sparse_is_zero(data + at, piece))
            continue;
        digest_sha256(data + at, piece, digest);
        memcpy(grain.digest, digest, sizeof grain.digest);
        g_array_append_val(grains->grains, grain);
    }
}

DiskGrains *
disk_grains_read(int fd, const char *name, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(BUFFER_BYTES);
    g_autoptr(DiskGrains) grains = NULL;
    uint64_t size, at = 0, start, stop;

    if (!fd_size(fd, name, &size, error))
        return NULL;
    grains = grains_new(size);
    while (disk_sparse_next_data(fd, at, size, &start, &stop)) {
        size_t n;

        start -= start % DISK_GRAIN; /* a file system with smaller blocks */
        n = (size_t)MIN(BUFFER_BYTES, size - start);
        if (!interrupt_check(error) || !fd_pread_exact(fd, buffer, n, start, name, error))
            return NULL;
        add_pieces(grains, buffer, n, start);
        if (grains->grains->len > DISK_GRAINS_MAX || size / DISK_GRAIN >= UINT32_MAX) {
            error_set(error, "%s: too large for a delta", name);
            return NULL;
        }
        at = start + n;
    }
    return g_steal_pointer(&grains);
}

static void
put(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t
get(const uint8_t *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

GBytes *
disk_grains_print(const DiskGrains *grains)
{
    size_t size = HEADER_BYTES + (size_t)grains->grains->len * RECORD_BYTES;
    uint8_t *data = g_malloc(size), *at = data + HEADER_BYTES;

    memcpy(data, MAGIC, sizeof MAGIC);
    put(data + 8, grains->size, 8);
    put(data + 16, grains->grains->len, 8);
    for (guint i = 0; i < grains->grains->len; i++, at += RECORD_BYTES) {
        const DiskGrain *grain = &g_array_index(grains->grains, DiskGrain, i);

        put(at, grain->at, 4);
        memcpy(at + 4, grain->digest, sizeof grain->digest);
    }
    return g_bytes_new_take(data, size);
}

DiskGrains *
disk_grains_parse(GBytes *bytes, const char *name, GError **error)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(bytes, &size);
    g_autoptr(DiskGrains) grains = NULL;
    uint64_t n;

    if (size < HEADER_BYTES || memcmp(data, MAGIC, sizeof MAGIC) != 0 ||
        (n = get(data + 16, 8)) > DISK_GRAINS_MAX || size != HEADER_BYTES + n * RECORD_BYTES) {
        error_set(error, "%s: damaged", name);
        return NULL;
    }
    grains = grains_new(get(data + 8, 8));
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *at = data + HEADER_BYTES + i * RECORD_BYTES;
        DiskGrain grain = {.at = (uint32_t)get(at, 4)};

        memcpy(grain.digest, at + 4, sizeof grain.digest);
        if ((uint64_t)grain.at * DISK_GRAIN >= grains->size ||
            (i > 0 && grain.at <= g_array_index(grains->grains, DiskGrain, i - 1).at)) {
            error_set(error, "%s: damaged", name);
            return NULL;
        }
        g_array_append_val(grains->grains, grain);
    }
    return g_steal_pointer(&grains);
}
