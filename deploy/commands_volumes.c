// SPDX-License-Identifier: Apache-2.0
/* What is on a guest's disks, and how full it is, as tables and JSON. */
#include "base/json.h"
#include "deploy/commands.h"

#include <stdio.h>

static void
print_json(Json *list)
{
    g_autofree char *text = json_print(list);

    fputs(text, stdout);
}

/* (transfer full) */
static char *
size_text(uint64_t bytes, uint64_t unit, bool is_human)
{
    return is_human ? cli_format_size(bytes)
                    : g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)((bytes + unit - 1) / unit));
}

static Json *
volume_json(const GuestVolume *volume)
{
    Json *json = json_new_object();

    json_set_text(json, "name", volume->name);
    json_set_text(json, "type", volume->kind);
    json_set_text(json, "fs", volume->fs);
    json_set_text(json, "label", volume->label);
    json_set_text(json, "uuid", volume->uuid);
    if (volume->mbr_id >= 0)
        json_set_number(json, "mbr_id", volume->mbr_id);
    json_set_count(json, "size", volume->size);
    json_set_text(json, "parent", volume->parent);
    return json;
}

/* (transfer full) a row of the table */
static char **
volume_row(const GuestVolume *volume, bool is_human)
{
    char **row = g_new0(char *, 9);
    const char *texts[] = {volume->name, volume->kind, volume->fs, volume->label, volume->uuid};

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        row[i] = g_strdup(texts[i] != NULL ? texts[i] : "-");
    row[5] = volume->mbr_id >= 0 ? g_strdup_printf("%02x", (unsigned)volume->mbr_id) : g_strdup("-");
    row[6] = volume->size > 0 ? size_text(volume->size, 1, is_human) : g_strdup("-");
    row[7] = g_strdup(volume->parent != NULL ? volume->parent : "-");
    return row;
}

bool
commands_filesystems(GuestView *view, const VolumeStyle *style, GError **error)
{
    static const char *const HEADING[] = {"NAME", "TYPE", "FS",     "LABEL", "UUID",
                                          "MBR",  "SIZE", "PARENT", NULL};
    g_autoptr(GPtrArray) volumes = guest_view_volumes(view, style->is_all, error);
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) list = json_new_array();

    if (volumes == NULL)
        return false;
    for (guint i = 0; i < volumes->len; i++) {
        const GuestVolume *volume = g_ptr_array_index(volumes, i);
        g_autofree char *name = cli_safe(volume->name);

        json_append(list, volume_json(volume));
        g_ptr_array_add(rows, volume_row(volume, style->is_human));
        if (!style->is_long && !style->is_json)
            puts(name);
    }
    if (style->is_json)
        print_json(list);
    else if (style->is_long)
        cli_print_table(HEADING, rows);
    return true;
}

static Json *
usage_json(const GuestUsage *usage)
{
    Json *json = json_new_object();

    json_set_text(json, "name", usage->name);
    json_set_number(json, "size", (int64_t)usage->size);
    json_set_number(json, "used", (int64_t)usage->used);
    json_set_number(json, "available", (int64_t)usage->available);
    json_set_number(json, "inodes", (int64_t)usage->inodes);
    json_set_number(json, "free_inodes", (int64_t)usage->free_inodes);
    return json;
}

/* As df(1) has it: of what users can have, rounded up. */
static unsigned
percent(const GuestUsage *usage)
{
    double whole = (double)usage->used + (double)usage->available;
    double share = whole > 0 ? 100 * (double)usage->used / whole : 0;

    return (unsigned)share + (share > (unsigned)share);
}

bool
commands_df(GuestView *view, const VolumeStyle *style, GError **error)
{
    const char *heading[] = {
        "FILESYSTEM", style->is_human ? "SIZE" : "1K-BLOCKS", "USED", "AVAILABLE", "USE%", NULL};
    g_autoptr(GPtrArray) usages = guest_view_usage(view, error);
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autoptr(Json) list = json_new_array();

    if (usages == NULL)
        return false;
    for (guint i = 0; i < usages->len; i++) {
        const GuestUsage *usage = g_ptr_array_index(usages, i);
        char **row = g_new0(char *, 6);

        json_append(list, usage_json(usage));
        row[0] = g_strdup(usage->name);
        row[1] = size_text(usage->size, 1024, style->is_human);
        row[2] = size_text(usage->used, 1024, style->is_human);
        row[3] = size_text(usage->available, 1024, style->is_human);
        row[4] = g_strdup_printf("%u%%", percent(usage));
        g_ptr_array_add(rows, row);
    }
    if (style->is_json)
        print_json(list);
    else
        cli_print_table(heading, rows);
    return true;
}
