// fuzz: guest
// SPDX-License-Identifier: Apache-2.0
/* The first sectors of a disk, which a guest wrote: whatever they say, no partition may come to lie beyond the disk. */
#include "guest/table.h"

#include <string.h>

typedef struct {
    const uint8_t *data;
    size_t size;
} Disk;

/* A disk of which all but the first bytes are zero. */
static bool
read_disk(void *context, uint64_t offset, uint8_t *bytes, size_t size, GError **error G_GNUC_UNUSED)
{
    const Disk *disk = context;

    memset(bytes, 0, size);
    if (offset < disk->size)
        memcpy(bytes, disk->data + offset, MIN(size, disk->size - offset));
    return true;
}

static bool
write_disk(void *context G_GNUC_UNUSED, uint64_t offset, const uint8_t *bytes G_GNUC_UNUSED, size_t size,
           GError **error G_GNUC_UNUSED)
{
    g_assert(offset % TABLE_SECTOR == 0 && size % TABLE_SECTOR == 0);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t SIZES[] = {1u << 16, 1u << 20, 3000000000u, 1ull << 45};
    Disk disk = {data, size};
    const TableIo io = {read_disk, write_disk, &disk, "fuzz"};

    for (unsigned i = 0; i < G_N_ELEMENTS(SIZES); i++) {
        g_auto(Table) table = {0};
        int64_t by;

        if (!table_read(&io, &table, NULL) || table.parts->len == 0)
            return 0;
        int number = g_array_index(table.parts, TablePart, size % table.parts->len).number;

        if (!table_shift(&table, "fuzz", number, SIZES[i], &by, NULL))
            continue;
        const TablePart *part = table_part(&table, number);

        g_assert(by == 0 || (part->start + part->size) * TABLE_SECTOR <= SIZES[i]);
        g_assert(table_write(&table, &io, SIZES[i], NULL));
    }
    return 0;
}
