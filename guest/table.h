// SPDX-License-Identifier: Apache-2.0
/*
 * Partition tables, MBR with logical partitions and GPT, and the one change that disks of another size need: a partition's
 * end moves, and what lies behind it moves along. Numbers, types, names, flags and GUIDs stay what they are, which
 * deleting and making partitions anew would not keep. Pure: the disk's bytes come and go through a TableIo.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

#define TABLE_SECTOR 512u     /* libguestfs's disks have no other */
#define TABLE_MAX_LOGICAL 60u /* util-linux and the kernel stop near there */
#define TABLE_MAX_GPT_BYTES                                                                                  \
    131072u /* of entries: 1,024 of the usual 128 bytes; everybody writes 128 of them */

/** TableIo: where the table lies. Both functions are asked for whole sectors. */
typedef struct {
    bool (*read)(void *context, uint64_t offset, uint8_t *bytes, size_t size, GError **error);
    bool (*write)(void *context, uint64_t offset, const uint8_t *bytes, size_t size, GError **error);
    void *context;
    const char *label; /* for messages */
} TableIo;

typedef struct {
    int number;           /* as Linux counts */
    uint64_t start, size; /* in sectors */
    uint64_t link;        /* MBR: the sector of a logical partition's own record; 0 for any other */
    uint8_t record[16];   /* MBR: as it stands in the table */
    bool is_extended;
    bool has_moved; /* table_shift() gave it another start: its content is not there */
} TablePart;

typedef struct {
    bool is_gpt;
    GArray *parts;                  /* (element-type TablePart) */
    uint8_t first[TABLE_SECTOR];    /* sector 0 */
    uint8_t header[TABLE_SECTOR];   /* GPT: sector 1 */
    GByteArray *entries;            /* GPT; whole sectors */
    size_t entry_size, entry_bytes; /* GPT: of one entry, and of those that the checksum covers */
} Table;
void table_clear(Table *table);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Table, table_clear)

/** table_read: the table of a disk. Errors: it has none; one that is damaged; a chain of logical partitions with gaps */
bool table_read(const TableIo *io, Table *out_table, GError **error);

/**
 * table_shift: move the end of partition @number so that the partitions use all of a disk of @disk_bytes, in @table alone.
 * Whatever lies behind the partition moves by the same distance, and an extended partition follows. Distances are whole
 * 4 KiB; with something behind, and from 1 MiB on, whole MiB, so that the alignment stays.
 * @out_by: in sectors, less than 0 for a smaller disk; 0: nothing changes
 * Errors: no such partition; it would vanish; partitions that overlap
 */
bool table_shift(Table *table, const char *label, int number, uint64_t disk_bytes, int64_t *out_by,
                 GError **error);

/** table_write: the table, and for GPT its copy at the end of a disk of @disk_bytes. */
bool table_write(Table *table, const TableIo *io, uint64_t disk_bytes, GError **error);

/** table_part: (nullable) partition @number. */
TablePart *table_part(const Table *table, int number);
