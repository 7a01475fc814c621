// SPDX-License-Identifier: Apache-2.0
/*
 * Formats that are converted before they are published. qemu does the converting; here is decided what it may be given:
 * nothing that would make it open another file. Pure.
 */
#include "disk/header.h"

#include "base/bytes.h"

#include <string.h>

#define SECTOR 512u
#define VMDK_HEADER 79u
#define VMDK_MAX_VERSION 3u

static const struct {
    DiskForeign foreign;
    const char *name;
    size_t offset, size;
    const char *magic;
} KINDS[] = {
    {DISK_FOREIGN_VMDK, "vmdk", 0, 4, "KDMV"},
    {DISK_FOREIGN_VHDX, "vhdx", 0, 8, "vhdxfile"},
    {DISK_FOREIGN_VPC, "vpc", 0, 8, "conectix"},
    {DISK_FOREIGN_VDI, "vdi", 64, 4, "\x7f\x10\xda\xbe"},
};

const char *
disk_foreign_name(DiskForeign foreign)
{
    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++)
        if (KINDS[i].foreign == foreign)
            return KINDS[i].name;
    return "none";
}

bool
disk_foreign_parse(const char *name, DiskForeign *out_foreign)
{
    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++) {
        if (strcmp(KINDS[i].name, name) == 0) {
            *out_foreign = KINDS[i].foreign;
            return true;
        }
    }
    return false;
}

DiskForeign
disk_foreign_detect(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++)
        if (size >= KINDS[i].offset + KINDS[i].size &&
            memcmp(data + KINDS[i].offset, KINDS[i].magic, KINDS[i].size) == 0)
            return KINDS[i].foreign;
    return DISK_FOREIGN_NONE;
}

/* The description is "key=value" lines and one line per extent. Unknown keys are harmless. */
static bool
check_description(const char *text, const char *name, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned extents = 0;

    for (unsigned i = 0; lines[i] != NULL; i++) {
        const char *line = g_strstrip(lines[i]);

        if (g_ascii_strncasecmp(line, "parentFileNameHint", 18) == 0)
            return error_set(error, "%s: the VMDK needs its parent, another file; merge them first", name);
        if (g_ascii_strncasecmp(line, "parentCID", 9) == 0) {
            const char *value = strchr(line, '=');

            if (value == NULL || g_ascii_strcasecmp(g_strstrip((char *)value + 1), "ffffffff") != 0)
                return error_set(error, "%s: the VMDK needs its parent, another file; merge them first",
                                 name);
        }
        if (g_str_has_prefix(line, "RW ") || g_str_has_prefix(line, "RDONLY ") ||
            g_str_has_prefix(line, "NOACCESS "))
            extents++;
    }
    if (extents > 1)
        return error_set(error, "%s: the VMDK consists of several files; convert it first (qemu-img convert)",
                         name);
    return true;
}

bool
disk_vmdk_check(const uint8_t *data, size_t size, const char *name, GError **error)
{
    uint64_t at, length;
    g_autofree char *text = NULL;

    if (size < VMDK_HEADER || bytes_le32(data + 4) == 0 || bytes_le32(data + 4) > VMDK_MAX_VERSION)
        return error_set(error, "%s: damaged or unknown VMDK header", name);
    /* Without a capacity of its own the file is but a description, whose extents qemu would open. */
    if (bytes_le64(data + 12) == 0)
        return error_set(
            error, "%s: the VMDK only describes other files; convert it first (qemu-img convert)", name);
    at = bytes_le64(data + 28);
    length = bytes_le64(data + 36);
    if (at == 0)
        return true;
    if (at > size / SECTOR || length > size / SECTOR - at)
        return error_set(error, "%s: damaged VMDK header: its description is not where it should be", name);
    text = g_strndup((const char *)data + at * SECTOR, length * SECTOR);
    return check_description(text, name, error);
}
