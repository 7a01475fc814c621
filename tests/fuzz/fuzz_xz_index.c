// fuzz: disk
// SPDX-License-Identifier: Apache-2.0
/* What a foreign .xz file says of itself, of which a manifest is made: no read beyond the file, and a manifest that is read back. */
#include "base/fd.h"
#include "disk/disk.h"

#include <string.h>
#include <sys/mman.h>

#define MAX_RAW_BYTES (1u << 20)

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
