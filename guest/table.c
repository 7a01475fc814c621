// SPDX-License-Identifier: Apache-2.0
#include "guest/table.h"

#include "base/bytes.h"

#include <string.h>

/* MBR: where things stand in a sector, and in each of its four records. */
#define RECORDS_AT 446u
#define N_RECORDS 4u
#define RECORD_BYTES 16u
#define TYPE_AT 4u
#define START_AT 8u
#define SIZE_AT 12u
#define FIRST_LOGICAL 5
#define TYPE_LINK 0x05 /* to the next logical partition's record */
#define TYPE_GPT 0xee
#define MBR_MAX_SECTORS (1ull << 32) /* 32-bit sector numbers */

/* UEFI 2.10, 5.3.2 and 5.3.3. */
#define GPT_HEADER_BYTES 92u
#define GPT_ENTRY_BYTES 128u
#define GPT_MAX_LBA (1ull << 53) /* 4 EiB: sums of sector numbers stay far from overflow */
enum {
    GPT_SIZE = 12,
    GPT_CRC = 16,
    GPT_MY_LBA = 24,
    GPT_OTHER_LBA = 32,
    GPT_LAST_USABLE = 48,
    GPT_ENTRIES_LBA = 72,
    GPT_N_ENTRIES = 80,
    GPT_ENTRY_SIZE = 84,
    GPT_ENTRIES_CRC = 88,
    GPT_ENTRY_FIRST = 32,
    GPT_ENTRY_LAST = 40,
};

#define GRAIN 8  /* sectors: a block of every file system that can grow */
#define MIB 2048 /* sectors */

static void
put32(uint8_t *at, uint64_t value)
{
    uint32_t little = GUINT32_TO_LE((uint32_t)value);

    memcpy(at, &little, sizeof little);
}

static void
put64(uint8_t *at, uint64_t value)
{
    uint64_t little = GUINT64_TO_LE(value);

    memcpy(at, &little, sizeof little);
}

/* CRC-32 as of ISO-HDLC, which UEFI asks for. A few KiB per disk: no table is worth it. */
static uint32_t
crc32(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static uint64_t
end_of(const TablePart *part)
{
    return part->start + part->size;
}

static TablePart *
part_at(const Table *table, unsigned index)
{
    return &g_array_index(table->parts, TablePart, index);
}

TablePart *
table_part(const Table *table, int number)
{
    for (unsigned i = 0; i < table->parts->len; i++)
        if (part_at(table, i)->number == number)
            return part_at(table, i);
    return NULL;
}

void
table_clear(Table *table)
{
    g_clear_pointer(&table->parts, g_array_unref);
    g_clear_pointer(&table->entries, g_byte_array_unref);
}

static bool
is_extended_type(uint8_t type)
{
    return type == TYPE_LINK || type == 0x0f || type == 0x85;
}

/* add_record: a partition that an MBR record describes, its start counted from @base */
static void
add_record(Table *table, int number, const uint8_t *record, uint64_t base, uint64_t link)
{
    TablePart part = {.number = number,
                      .start = base + bytes_le32(record + START_AT),
                      .size = bytes_le32(record + SIZE_AT),
                      .link = link,
                      .is_extended = link == 0 && is_extended_type(record[TYPE_AT])};

    memcpy(part.record, record, RECORD_BYTES);
    g_array_append_val(table->parts, part);
}

static bool
has_boot_mark(const uint8_t *sector)
{
    return sector[TABLE_SECTOR - 2] == 0x55 && sector[TABLE_SECTOR - 1] == 0xaa;
}

/* Each logical partition has a sector of its own: a record for it, and one that leads to the next such sector. */
static bool
read_logical(const TableIo *io, Table *table, uint64_t extended, GError **error)
{
    uint64_t link = extended;

    for (unsigned i = 0; i < TABLE_MAX_LOGICAL; i++) {
        uint8_t sector[TABLE_SECTOR];
        const uint8_t *own = sector + RECORDS_AT, *next = own + RECORD_BYTES;

        if (!io->read(io->context, link * TABLE_SECTOR, sector, sizeof sector, error))
            return false;
        if (i == 0 && own[TYPE_AT] == 0 && next[TYPE_AT] == 0)
            return true; /* an extended partition that holds none */
        if (!has_boot_mark(sector) || own[TYPE_AT] == 0 || bytes_le32(own + SIZE_AT) == 0)
            return error_set(error, "%s: the chain of logical partitions is damaged or has a gap", io->label);
        add_record(table, FIRST_LOGICAL + (int)i, own, link, link);
        if (next[TYPE_AT] == 0)
            return true;
        link = extended + bytes_le32(next + START_AT);
    }
    return error_set(error, "%s: more than %u logical partitions", io->label, TABLE_MAX_LOGICAL);
}

static bool
read_mbr(const TableIo *io, Table *table, GError **error)
{
    uint64_t extended = 0;

    for (unsigned i = 0; i < N_RECORDS; i++) {
        const uint8_t *record = table->first + RECORDS_AT + (size_t)i * RECORD_BYTES;

        if (record[TYPE_AT] == 0 || bytes_le32(record + SIZE_AT) == 0)
            continue;
        add_record(table, (int)i + 1, record, 0, 0);
        if (!is_extended_type(record[TYPE_AT]))
            continue;
        if (extended != 0)
            return error_set(error, "%s: two extended partitions", io->label);
        extended = bytes_le32(record + START_AT);
        if (extended == 0)
            return error_set(error, "%s: the partition table is damaged", io->label);
    }
    return extended == 0 || read_logical(io, table, extended, error);
}

static bool
check_gpt_header(const TableIo *io, Table *table, GError **error)
{
    uint8_t *header = table->header;
    uint32_t size = bytes_le32(header + GPT_SIZE), crc = bytes_le32(header + GPT_CRC);
    uint64_t bytes = (uint64_t)bytes_le32(header + GPT_N_ENTRIES) * bytes_le32(header + GPT_ENTRY_SIZE);
    bool is_good;

    if (memcmp(header, "EFI PART", 8) != 0 || size < GPT_HEADER_BYTES || size > TABLE_SECTOR)
        return error_set(error, "%s: the GPT is damaged", io->label);
    put32(header + GPT_CRC, 0);
    is_good = crc32(header, size) == crc;
    put32(header + GPT_CRC, crc);
    if (!is_good || bytes_le64(header + GPT_MY_LBA) != 1 || bytes_le64(header + GPT_ENTRIES_LBA) < 2 ||
        bytes_le64(header + GPT_ENTRIES_LBA) > GPT_MAX_LBA)
        return error_set(error, "%s: the GPT is damaged", io->label);
    table->entry_size = bytes_le32(header + GPT_ENTRY_SIZE);
    if (table->entry_size < GPT_ENTRY_BYTES || bytes == 0 || bytes > TABLE_MAX_GPT_BYTES)
        return error_set(error, "%s: the GPT has an unusual size", io->label);
    table->entry_bytes = bytes;
    return true;
}

static bool
read_gpt(const TableIo *io, Table *table, GError **error)
{
    static const uint8_t UNUSED[16] = {0};

    if (!io->read(io->context, TABLE_SECTOR, table->header, TABLE_SECTOR, error) ||
        !check_gpt_header(io, table, error))
        return false;
    table->entries = g_byte_array_new();
    g_byte_array_set_size(table->entries,
                          (guint)((table->entry_bytes + TABLE_SECTOR - 1) / TABLE_SECTOR * TABLE_SECTOR));
    if (!io->read(io->context, bytes_le64(table->header + GPT_ENTRIES_LBA) * TABLE_SECTOR,
                  table->entries->data, table->entries->len, error))
        return false;
    if (crc32(table->entries->data, table->entry_bytes) != bytes_le32(table->header + GPT_ENTRIES_CRC))
        return error_set(error, "%s: the GPT is damaged", io->label);
    for (size_t i = 0; i < table->entry_bytes / table->entry_size; i++) {
        const uint8_t *entry = table->entries->data + i * table->entry_size;
        uint64_t first = bytes_le64(entry + GPT_ENTRY_FIRST), last = bytes_le64(entry + GPT_ENTRY_LAST);
        TablePart part = {.number = (int)i + 1, .start = first, .size = last - first + 1};

        if (memcmp(entry, UNUSED, sizeof UNUSED) == 0)
            continue;
        if (first > last || last > GPT_MAX_LBA)
            return error_set(error, "%s: GPT partition %d ends before it starts", io->label, part.number);
        g_array_append_val(table->parts, part);
    }
    return true;
}

bool
table_read(const TableIo *io, Table *out_table, GError **error)
{
    g_auto(Table) table = {.parts = g_array_new(false, false, sizeof(TablePart))};

    if (!io->read(io->context, 0, table.first, TABLE_SECTOR, error))
        return false;
    if (!has_boot_mark(table.first))
        return error_set(error, "%s: the disk has no partition table", io->label);
    for (unsigned i = 0; i < N_RECORDS; i++)
        table.is_gpt =
            table.is_gpt || table.first[RECORDS_AT + (size_t)i * RECORD_BYTES + TYPE_AT] == TYPE_GPT;
    if (!(table.is_gpt ? read_gpt(io, &table, error) : read_mbr(io, &table, error)))
        return false;
    *out_table = table;
    table = (Table){0};
    return true;
}

/* usable_end: the first sector that no partition may use, on a disk of @disk_bytes */
static uint64_t
usable_end(const Table *table, uint64_t disk_bytes)
{
    uint64_t sectors = disk_bytes / TABLE_SECTOR;
    uint64_t tail = table->is_gpt ? table->entries->len / TABLE_SECTOR + 1 : 0;

    if (!table->is_gpt)
        return MIN(sectors, MBR_MAX_SECTORS);
    return sectors > tail ? sectors - tail : 0;
}

/* find_moving: mark what lies behind @part; the end of the last of them, or of @part */
static bool
find_moving(Table *table, const TablePart *part, const char *label, uint64_t *out_end, GError **error)
{
    uint64_t end = end_of(part);

    for (unsigned i = 0; i < table->parts->len; i++) {
        TablePart *other = part_at(table, i);

        if (other == part || end_of(other) <= part->start ||
            (other->is_extended && other->start < part->start))
            continue;
        if (other->start < end_of(part))
            return error_set(error, "%s: partitions %d and %d overlap", label, part->number, other->number);
        other->has_moved = true;
        if (!other->is_extended)
            end = MAX(end, end_of(other));
    }
    *out_end = end;
    return true;
}

/* The extended partition follows its logical ones: @end is where the last of all partitions ends now. */
static void
fit_extended(TablePart *extended, const TablePart *part, int64_t by, uint64_t end, uint64_t usable)
{
    if (extended->has_moved) {
        extended->start += (uint64_t)by;
        extended->size = end - extended->start;
    } else if (part->link != 0 && (end > end_of(extended) || end_of(extended) > usable)) {
        extended->size = end - extended->start;
    }
}

bool
table_shift(Table *table, const char *label, int number, uint64_t disk_bytes, int64_t *out_by, GError **error)
{
    TablePart *part = table_part(table, number);
    uint64_t end = 0, usable = usable_end(table, disk_bytes);
    int64_t by, unit;

    if (part == NULL || part->is_extended)
        return error_set(error, "%s: the disk has no partition %d", label, number);
    if (!find_moving(table, part, label, &end, error))
        return false;
    by = (int64_t)usable - (int64_t)end;
    unit = end > end_of(part) && (by >= MIB || by < 0) ? MIB : GRAIN;
    by -= ((by % unit) + unit) % unit;
    if (by < 0 && (uint64_t)-by >= part->size)
        return error_set(error, "%s: partition %d does not fit on a disk of %" G_GUINT64_FORMAT " bytes",
                         label, number, disk_bytes);
    for (unsigned i = 0; i < table->parts->len; i++) {
        TablePart *other = part_at(table, i);

        other->has_moved = other->has_moved && by != 0;
        if (by != 0 && other->is_extended)
            fit_extended(other, part, by, end + (uint64_t)by, usable);
        if (!other->has_moved || other->is_extended)
            continue;
        other->start += (uint64_t)by;
        other->link += other->link != 0 ? (uint64_t)by : 0;
    }
    part->size += (uint64_t)by;
    *out_by = by;
    return true;
}

/* Where cylinder numbers cannot say it, they say so: everybody goes by the sector numbers. */
static void
put_record(uint8_t *at, const TablePart *part, uint64_t base)
{
    static const uint8_t BEYOND[3] = {0xfe, 0xff, 0xff};

    if (bytes_le32(part->record + START_AT) == part->start - base &&
        bytes_le32(part->record + SIZE_AT) == part->size) {
        memcpy(at, part->record, RECORD_BYTES);
        return;
    }
    memcpy(at, part->record, RECORD_BYTES);
    memcpy(at + 1, BEYOND, sizeof BEYOND);
    memcpy(at + 5, BEYOND, sizeof BEYOND);
    put32(at + START_AT, part->start - base);
    put32(at + SIZE_AT, part->size);
}

static bool
write_logical(const Table *table, const TableIo *io, uint64_t extended, GError **error)
{
    for (unsigned i = 0; i < table->parts->len; i++) {
        const TablePart *part = part_at(table, i), *next = table_part(table, part->number + 1);
        uint8_t sector[TABLE_SECTOR] = {0};

        if (part->link == 0)
            continue;
        put_record(sector + RECORDS_AT, part, part->link);
        if (next != NULL) {
            const TablePart link = {.start = next->link,
                                    .size = end_of(next) - next->link,
                                    .record = {0, 0xfe, 0xff, 0xff, TYPE_LINK, 0xfe, 0xff, 0xff}};

            put_record(sector + RECORDS_AT + RECORD_BYTES, &link, extended);
        }
        sector[TABLE_SECTOR - 2] = 0x55;
        sector[TABLE_SECTOR - 1] = 0xaa;
        if (!io->write(io->context, part->link * TABLE_SECTOR, sector, sizeof sector, error))
            return false;
    }
    return true;
}

static bool
write_mbr(Table *table, const TableIo *io, GError **error)
{
    uint64_t extended = 0;

    for (unsigned i = 0; i < table->parts->len; i++) {
        const TablePart *part = part_at(table, i);

        if (part->number < FIRST_LOGICAL)
            put_record(table->first + RECORDS_AT + (size_t)(part->number - 1) * RECORD_BYTES, part, 0);
        if (part->is_extended)
            extended = part->start;
    }
    return write_logical(table, io, extended, error) &&
           io->write(io->context, 0, table->first, TABLE_SECTOR, error);
}

static bool
write_gpt_copy(Table *table, const TableIo *io, uint64_t lba, uint64_t other, uint64_t entries,
               GError **error)
{
    uint8_t *header = table->header;

    put64(header + GPT_MY_LBA, lba);
    put64(header + GPT_OTHER_LBA, other);
    put64(header + GPT_ENTRIES_LBA, entries);
    put32(header + GPT_ENTRIES_CRC, crc32(table->entries->data, table->entry_bytes));
    put32(header + GPT_CRC, 0);
    put32(header + GPT_CRC, crc32(header, bytes_le32(header + GPT_SIZE)));
    return io->write(io->context, entries * TABLE_SECTOR, table->entries->data, table->entries->len, error) &&
           io->write(io->context, lba * TABLE_SECTOR, header, TABLE_SECTOR, error);
}

/* A hybrid MBR, with records of other types beside the protecting one, says what it said. */
static void
protect(Table *table, uint64_t last)
{
    for (unsigned i = 0; i < N_RECORDS; i++) {
        uint8_t *record = table->first + RECORDS_AT + (size_t)i * RECORD_BYTES;

        if (record[TYPE_AT] == TYPE_GPT && bytes_le32(record + START_AT) == 1)
            put32(record + SIZE_AT, MIN(last, G_MAXUINT32));
    }
}

static bool
write_gpt(Table *table, const TableIo *io, uint64_t disk_bytes, GError **error)
{
    uint64_t last = disk_bytes / TABLE_SECTOR - 1, sectors = table->entries->len / TABLE_SECTOR;
    uint64_t entries = bytes_le64(table->header + GPT_ENTRIES_LBA);

    for (unsigned i = 0; i < table->parts->len; i++) {
        const TablePart *part = part_at(table, i);
        uint8_t *entry = table->entries->data + (size_t)(part->number - 1) * table->entry_size;

        put64(entry + GPT_ENTRY_FIRST, part->start);
        put64(entry + GPT_ENTRY_LAST, end_of(part) - 1);
    }
    put64(table->header + GPT_LAST_USABLE, usable_end(table, disk_bytes) - 1);
    protect(table, last);
    return write_gpt_copy(table, io, last, 1, last - sectors, error) &&
           write_gpt_copy(table, io, 1, last, entries, error) &&
           io->write(io->context, 0, table->first, TABLE_SECTOR, error);
}

bool
table_write(Table *table, const TableIo *io, uint64_t disk_bytes, GError **error)
{
    return table->is_gpt ? write_gpt(table, io, disk_bytes, error) : write_mbr(table, io, error);
}
