// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/*
 * What a foreign .xz file says of itself, of which a manifest is made: no read beyond the file, and a manifest that is read back.
 * Input that does not begin like an .xz file gets the magic and right checksums first: else few changes would get past them.
 */
#include "base/fd.h"
#include "disk/disk.h"

#include <string.h>
#include <sys/mman.h>

#define MAX_RAW_BYTES (1u << 20)
#define HEADER_BYTES 12u /* of the stream; its footer has as many */

typedef struct {
    const uint8_t *data;
    size_t size;
} Bytes;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
read_bytes(void *context, void *data, size_t size, uint64_t offset, GError **error G_GNUC_UNUSED)
{
    const Bytes *bytes = context;

    g_assert(offset <= bytes->size && size <= bytes->size - offset);
    memcpy(data, bytes->data + offset, size);
    return true;
}

static void
put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void
put_crc32(uint8_t *at, const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    put32(at, ~crc);
}

/* Header, header of the first block, index and footer of the one stream that it then is. */
static void
repair(uint8_t *data, size_t size)
{
    uint8_t *footer = data + size - HEADER_BYTES;
    size_t block = ((size_t)data[HEADER_BYTES] + 1) * 4, index;

    memcpy(data,
           "\xfd"
           "7zXZ",
           6);
    put_crc32(data + 8, data + 6, 2);
    memcpy(footer + 8, data + 6, 2);
    memcpy(footer + 10, "YZ", 2);
    put_crc32(footer, footer + 4, 6);
    index = ((size_t)footer[4] + footer[5] * 256u + 1) * 4;
    if (block >= 8 && block <= size - 2 * (size_t)HEADER_BYTES)
        put_crc32(data + HEADER_BYTES + block - 4, data + HEADER_BYTES, block - 4);
    if (index <= size - 2 * (size_t)HEADER_BYTES)
        put_crc32(footer - 4, footer - index, index - 4);
}

static int
look(const uint8_t *data, size_t size)
{
    Bytes bytes = {data, size};
    const DiskXzInput input = {.size = size, .read = read_bytes, .context = &bytes};
    g_auto(Fd) out = memfd_create("out", MFD_CLOEXEC);
    g_autoptr(DiskXzUnpack) unpack = disk_xz_unpack_new(&input, out, "fuzz", MAX_RAW_BYTES, true, NULL);
    g_autoptr(DiskManifest) manifest = NULL, again = NULL;
    g_autoptr(GBytes) printed = NULL;
    bool is_end = false;

    while (unpack != NULL && !is_end)
        if (!disk_xz_unpack_next(unpack, &is_end, NULL))
            return 0;
    if (unpack == NULL || !disk_xz_unpack_manifest(unpack, &manifest, NULL) || manifest == NULL)
        return 0;
    printed = disk_manifest_print(manifest, NULL);
    g_assert(printed != NULL);
    again = disk_manifest_parse(g_bytes_get_data(printed, NULL), g_bytes_get_size(printed), "fuzz", NULL);
    for (guint i = 0; again != NULL && i < again->blocks->len; i++) {
        bool is_same = false;

        g_assert(disk_block_compare(again, i, &(DiskTarget){.fd = out, .name = "out"}, &is_same, NULL) &&
                 is_same);
    }
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *copy = NULL;

    if (size <= 2 * HEADER_BYTES + 8 || data[0] == 0xfd)
        return look(data, size);
    copy = g_memdup2(data, size);
    repair(copy, size);
    return look(copy, size);
}
