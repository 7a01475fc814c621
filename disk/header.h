// SPDX-License-Identifier: Apache-2.0
/* Image headers as bytes: pure, fuzzed; probe.c does the reading. Private to disk/. */
#pragma once

#include "disk/disk.h"

#include <stddef.h>
#include <string.h>

/* qemu keeps header, extensions and backing name in the first cluster and writes them back to back: well
 * below 64 KiB. A name that an image puts further away is refused, never read. */
#define DISK_HEADER_BYTES 65536u

/* The numbers of the qcow2 format (qemu's docs/interop/qcow2.txt). */
#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_V2_HEADER 72u
#define QCOW2_V3_HEADER 104u
#define QCOW2_INCOMPAT_DATA_FILE (1ull << 2)
#define QCOW2_INCOMPAT_EXTENDED_L2 (1ull << 4)
#define QCOW2_EXTENSION_END 0u
#define QCOW2_EXTENSION_BACKING_FORMAT 0xe2792acau
#define QCOW2_MAX_BACKING_NAME 1023u

/**
 * disk_header_parse: what the first bytes of an image of @file_size bytes say.
 * @data: its first @size bytes: min(DISK_HEADER_BYTES, @file_size)
 * Errors: another known format, a damaged or unsupported qcow2 header
 */
bool disk_header_parse(const uint8_t *data, size_t size, uint64_t file_size, const char *name,
                       DiskInfo *out_info, GError **error);

/** disk_foreign_detect: the convertible format whose magic @data starts with. Pure. */
DiskForeign disk_foreign_detect(const uint8_t *data, size_t size);

/**
 * disk_vmdk_check: whether the VMDK that starts with @data, min(DISK_HEADER_BYTES, its size) bytes, is one file that stands
 * alone: a sparse extent with its description inside, which names no parent and no further extent. Pure.
 */
bool disk_vmdk_check(const uint8_t *data, size_t size, const char *name, GError **error);

static inline void
disk_header_put32(uint8_t *at, uint32_t value)
{
    value = GUINT32_TO_BE(value);
    memcpy(at, &value, sizeof value);
}

static inline void
disk_header_put64(uint8_t *at, uint64_t value)
{
    value = GUINT64_TO_BE(value);
    memcpy(at, &value, sizeof value);
}
