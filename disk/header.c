// SPDX-License-Identifier: Apache-2.0
/* Image headers: which format the first bytes are, and what a qcow2 header (versions 2 and 3) says of size,
 * backing file and external data file. Pure: no I/O, so that it can be fuzzed. */
#include "disk/header.h"

#include "base/bytes.h"

#include <string.h>

/* Formats that must never pass for raw: a guest would boot from noise, or qemu would probe and follow what an
 * attacker put there. Magics from each format's specification. */
static const struct {
    const char *name;
    size_t offset;
    size_t size;
    const char *magic;
} FOREIGN[] = {
    {"xz", 0, 6,
     "\xfd"
     "7zXZ\0"},
    {"gzip", 0, 3, "\x1f\x8b\x08"},
    {"bzip2", 0, 3, "BZh"},
    {"zstd", 0, 4, "\x28\xb5\x2f\xfd"},
    {"lz4", 0, 4, "\x04\x22\x4d\x18"},
    {"zip", 0, 4, "PK\x03\x04"},
    {"VMDK", 0, 4, "KDMV"},
    {"VMDK", 0, 4, "COWD"},
    {"VMDK descriptor", 0, 21, "# Disk DescriptorFile"},
    {"VHDX", 0, 8, "vhdxfile"},
    {"VHD", 0, 8, "conectix"},
    {"VDI", 64, 4, "\x7f\x10\xda\xbe"},
    {"QED", 0, 4, "QED\0"},
    {"Parallels", 0, 16, "WithoutFreeSpace"},
    {"Parallels", 0, 16, "WithouFreSpacExt"},
};

const char *
disk_format_name(DiskFormat format)
{
    return format == DISK_QCOW2 ? "qcow2" : "raw";
}

bool
disk_format_parse(const char *name, DiskFormat *out_format)
{
    if (g_strcmp0(name, "raw") == 0)
        *out_format = DISK_RAW;
    else if (g_strcmp0(name, "qcow2") == 0)
        *out_format = DISK_QCOW2;
    else
        return false;
    return true;
}

void
disk_info_clear(DiskInfo *info)
{
    g_clear_pointer(&info->backing_file, g_free);
    g_clear_pointer(&info->backing_format, g_free);
}

/* Walk the header extensions between @at and @end for the backing format. */
static bool
parse_extensions(const uint8_t *data, size_t at, size_t end, const char *name, DiskInfo *info, GError **error)
{
    while (end - at >= 8) {
        uint32_t type = bytes_be32(data + at);
        uint32_t length = bytes_be32(data + at + 4);
        size_t padded = ((size_t)length + 7) & ~(size_t)7;

        at += 8;
        if (type == QCOW2_EXTENSION_END)
            return true;
        if (length > end - at)
            return error_set(error, "%s: damaged qcow2 header: an extension reaches past its area", name);
        if (type == QCOW2_EXTENSION_BACKING_FORMAT && info->backing_format == NULL) {
            if (length == 0 || memchr(data + at, 0, length) != NULL)
                return error_set(error, "%s: damaged qcow2 header: unusable backing format", name);
            info->backing_format = g_strndup((const char *)data + at, length);
        }
        at += MIN(padded, end - at);
    }
    return true;
}

static bool
parse_backing_name(const uint8_t *data, size_t size, const char *name, DiskInfo *info, GError **error)
{
    uint64_t offset = bytes_be64(data + 8);
    uint32_t length = bytes_be32(data + 16);

    if (offset == 0)
        return true;
    if (length == 0 || length > QCOW2_MAX_BACKING_NAME || offset > size || length > size - offset)
        return error_set(error, "%s: damaged qcow2 header: unusable backing file name", name);
    if (memchr(data + offset, 0, length) != NULL)
        return error_set(error, "%s: damaged qcow2 header: the backing file name holds a zero byte", name);
    info->backing_file = g_strndup((const char *)data + offset, length);
    return true;
}

static bool
parse_qcow2(const uint8_t *data, size_t size, const char *name, DiskInfo *info, GError **error)
{
    uint32_t version, cluster_bits, header_length = QCOW2_V2_HEADER;
    size_t end;

    if (size < QCOW2_V2_HEADER)
        return error_set(error, "%s: damaged qcow2 header: too short", name);
    version = bytes_be32(data + 4);
    if (version != 2 && version != 3)
        return error_set(error, "%s: qcow version %u is not supported", name, version);
    cluster_bits = bytes_be32(data + 20);
    if (cluster_bits < 9 || cluster_bits > 21)
        return error_set(error, "%s: damaged qcow2 header: impossible cluster size", name);
    if (bytes_be32(data + 32) != 0)
        return error_set(error, "%s: encrypted qcow2 images are not supported", name);
    info->format = DISK_QCOW2;
    info->virtual_size = bytes_be64(data + 24);
    if (info->virtual_size > G_MAXINT64)
        return error_set(error, "%s: damaged qcow2 header: impossible virtual size", name);
    end = MIN(size, (size_t)1 << cluster_bits);
    if (version == 3) {
        if (size < QCOW2_V3_HEADER)
            return error_set(error, "%s: damaged qcow2 header: too short", name);
        info->has_data_file = (bytes_be64(data + 72) & QCOW2_INCOMPAT_DATA_FILE) != 0;
        header_length = bytes_be32(data + 100);
        if (header_length < QCOW2_V3_HEADER || header_length > end)
            return error_set(error, "%s: damaged qcow2 header: impossible header length", name);
    }
    if (!parse_backing_name(data, end, name, info, error))
        return false;
    if (info->backing_file != NULL)
        end = MAX(header_length, MIN(end, bytes_be64(data + 8)));
    return parse_extensions(data, header_length, end, name, info, error);
}

bool
disk_header_parse(const uint8_t *data, size_t size, uint64_t file_size, const char *name, DiskInfo *out_info,
                  GError **error)
{
    g_auto(DiskInfo) info = {.format = DISK_RAW, .virtual_size = file_size};

    if (size >= 4 && bytes_be32(data) == QCOW2_MAGIC) {
        if (!parse_qcow2(data, size, name, &info, error))
            return false;
    }
    for (size_t i = 0; info.format == DISK_RAW && i < G_N_ELEMENTS(FOREIGN); i++)
        if (size >= FOREIGN[i].offset + FOREIGN[i].size &&
            memcmp(data + FOREIGN[i].offset, FOREIGN[i].magic, FOREIGN[i].size) == 0)
            return error_set(error, "%s: is in %s format; only raw and qcow2 images are taken", name,
                             FOREIGN[i].name);
    *out_info = info;
    info = (DiskInfo){0};
    return true;
}
