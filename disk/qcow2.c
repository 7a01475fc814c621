// SPDX-License-Identifier: Apache-2.0
/*
 * Empty qcow2 overlays, written in-process: 30 microseconds where qemu-img takes 20 milliseconds. Layout in
 * clusters: 0 header with extensions and backing name, 1 refcount table, 2 refcount block, 3... L1 table
 * (zeroes).
 */
#include "base/fd.h"
#include "disk/header.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CLUSTER_BITS 16u
#define CLUSTER_BYTES (1u << CLUSTER_BITS)
/* Extended L2 entries are 16 bytes: one L2 table is one cluster, and one L1 entry stands for it. */
#define L1_ENTRY_COVERS ((uint64_t)CLUSTER_BYTES / 16 * CLUSTER_BYTES)
#define L1_CLUSTER 3u
/* qemu refuses an L1 table beyond 32 MiB (QCOW_MAX_L1_SIZE): 2^22 entries of 256 MiB. Its clusters fit one
 * refcount block (32768 entries of 16 bits) many times over. */
#define MAX_VIRTUAL_SIZE (L1_ENTRY_COVERS << 22)

/* The first three clusters. */
static void
fill_metadata(uint8_t *image, const char *backing, const char *backing_format, uint64_t virtual_size,
              uint32_t l1_entries, uint32_t l1_clusters)
{
    uint8_t *at = image + QCOW2_V3_HEADER;
    uint32_t format_length = (uint32_t)strlen(backing_format);

    disk_header_put32(image, QCOW2_MAGIC);
    disk_header_put32(image + 4, 3);
    disk_header_put32(image + 16, (uint32_t)strlen(backing));
    disk_header_put32(image + 20, CLUSTER_BITS);
    disk_header_put64(image + 24, virtual_size);
    disk_header_put32(image + 36, l1_entries);
    disk_header_put64(image + 40, (uint64_t)L1_CLUSTER * CLUSTER_BYTES);
    disk_header_put64(image + 48, CLUSTER_BYTES); /* refcount table: one cluster at cluster 1 */
    disk_header_put32(image + 56, 1);
    disk_header_put64(image + 72, QCOW2_INCOMPAT_EXTENDED_L2);
    disk_header_put32(image + 96, 4); /* refcounts of 1 << 4 bits */
    disk_header_put32(image + 100, QCOW2_V3_HEADER);
    disk_header_put32(at, QCOW2_EXTENSION_BACKING_FORMAT);
    disk_header_put32(at + 4, format_length);
    memcpy(at + 8, backing_format, format_length);
    at += 8 + ((format_length + 7) & ~7u);
    at += 8; /* the end extension is eight zero bytes */
    disk_header_put64(image + 8, (uint64_t)(at - image));
    memcpy(at, backing, strlen(backing));

    disk_header_put64(image + CLUSTER_BYTES, 2u * CLUSTER_BYTES);
    for (uint32_t i = 0; i < L1_CLUSTER + l1_clusters; i++)
        image[2 * CLUSTER_BYTES + 2 * i + 1] = 1;
}

static bool
write_overlay(int fd, const char *path, const uint8_t *image, uint64_t file_size, GError **error)
{
    static const size_t used[] = {4096, 8, 4096}; /* bytes in use: header (names are short), table, block */

    for (size_t i = 0; i < G_N_ELEMENTS(used); i++)
        if (!fd_pwrite_all(fd, image + i * CLUSTER_BYTES, used[i], i * CLUSTER_BYTES, path, error))
            return false;
    if (ftruncate(fd, (off_t)file_size) < 0)
        return error_set_errno(error, "%s: cannot set its size", path);
    if (fsync(fd) < 0)
        return error_set_errno(error, "%s: cannot sync", path);
    return true;
}

bool
disk_overlay_create(const char *path, const char *backing, DiskFormat backing_format, uint64_t virtual_size,
                    GError **error)
{
    uint64_t l1_entries = (virtual_size + L1_ENTRY_COVERS - 1) / L1_ENTRY_COVERS;
    uint64_t l1_clusters = (l1_entries * 8 + CLUSTER_BYTES - 1) / CLUSTER_BYTES;
    g_autofree uint8_t *image = NULL;
    g_auto(Fd) fd = -1;

    if (virtual_size == 0 || virtual_size % 512 != 0 || virtual_size > MAX_VIRTUAL_SIZE)
        return error_set(error, "%s: impossible disk size %" G_GUINT64_FORMAT, path, (guint64)virtual_size);
    if (backing[0] == '\0' || strlen(backing) > QCOW2_MAX_BACKING_NAME)
        return error_set(error, "%s: the path of its backing file is longer than %u bytes", path,
                         QCOW2_MAX_BACKING_NAME);
    image = g_malloc0((size_t)L1_CLUSTER * CLUSTER_BYTES);
    fill_metadata(image, backing, disk_format_name(backing_format), virtual_size, (uint32_t)l1_entries,
                  (uint32_t)l1_clusters);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(error, "%s: cannot create", path);
    if (!write_overlay(fd, path, image, (L1_CLUSTER + l1_clusters) * CLUSTER_BYTES, error)) {
        unlink(path);
        return false;
    }
    return true;
}
