// SPDX-License-Identifier: Apache-2.0
/* Findings of checks: keeping, counting and printing them. */
#include "base/finding.h"

#include "base/cli.h"

#include <stdio.h>

void
finding_free(Finding *finding)
{
    if (finding == NULL)
        return;
    g_free(finding->path);
    g_free(finding->message);
    g_free(finding);
}

GPtrArray *
finding_list_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)finding_free);
}

void
finding_add(GPtrArray *findings, FindingSeverity severity, const char *path, unsigned line,
            const char *format, ...)
{
    Finding *finding = g_new0(Finding, 1);
    va_list args;

    finding->path = g_strdup(path);
    finding->line = line;
    finding->severity = severity;
    va_start(args, format);
    finding->message = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(findings, finding);
}

guint
finding_count(const GPtrArray *findings, FindingSeverity severity)
{
    guint n = 0;

    for (guint i = 0; i < findings->len; i++)
        n += ((const Finding *)g_ptr_array_index(findings, i))->severity >= severity;
    return n;
}

void
finding_print_list(const GPtrArray *findings)
{
    for (guint i = 0; i < findings->len; i++) {
        const Finding *finding = g_ptr_array_index(findings, i);
        g_autofree char *path = cli_safe(finding->path), *message = cli_safe(finding->message);
        const char *prefix = finding->severity == FINDING_WARNING ? "warning: " : "";

        if (finding->line > 0)
            printf("%s:%u: %s%s\n", path, finding->line, prefix, message);
        else
            printf("%s: %s%s\n", path, prefix, message);
    }
}

Json *
finding_list_json(const GPtrArray *findings)
{
    Json *list = json_new_array();

    for (guint i = 0; i < findings->len; i++) {
        const Finding *finding = g_ptr_array_index(findings, i);
        Json *json = json_new_object();

        json_set_text(json, "path", finding->path);
        if (finding->line > 0)
            json_set_number(json, "line", finding->line);
        else
            json_set_text(json, "line", NULL);
        json_set_text(json, "severity", finding->severity == FINDING_WARNING ? "warning" : "error");
        json_set_text(json, "message", finding->message);
        json_append(list, json);
    }
    return list;
}
