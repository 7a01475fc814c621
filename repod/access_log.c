// SPDX-License-Identifier: Apache-2.0
/* The access log: formatting, and one buffer per worker that is written once per turn of its loop. */
#include "repod/access_log.h"

#include <time.h>
#include <unistd.h>

/* A line is at most 64 KiB (a head of 16 KiB, each byte four), and usually 150 bytes. */
#define FLUSH_AT 32768

struct AccessLog {
    int fd;
    GString *lines;
};

void
access_log_format(GString *out, const AccessEntry *entry)
{
    time_t seconds = entry->now_us / G_USEC_PER_SEC;
    char peer[PEER_TEXT_MAX];
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    peer_print(entry->peer, peer);
    g_string_append_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s ", tm.tm_year + 1900, tm.tm_mon + 1,
                           tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                           (int)(entry->now_us % G_USEC_PER_SEC / 1000), peer);
    for (const char *at = entry->request == NULL ? "- -" : entry->request; *at != '\0'; at++) {
        if ((g_ascii_isgraph(*at) && *at != '\\') || *at == ' ')
            g_string_append_c(out, *at);
        else
            g_string_append_printf(out, "\\x%02x", (unsigned char)*at);
    }
    g_string_append_printf(out, " %d %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT "\n", entry->status,
                           (guint64)entry->body_bytes, (gint64)entry->duration_us);
}

AccessLog *
access_log_new(int fd)
{
    AccessLog *log = g_new0(AccessLog, 1);

    log->fd = fd;
    log->lines = g_string_sized_new(FLUSH_AT);
    return log;
}

void
access_log_flush(AccessLog *log)
{
    if (log->lines->len > 0)
        fd_write_all(log->fd, log->lines->str, log->lines->len, "access log", NULL);
    g_string_truncate(log->lines, 0);
}

void
access_log_free(AccessLog *log)
{
    if (log == NULL)
        return;
    access_log_flush(log);
    g_string_free(log->lines, TRUE);
    g_free(log);
}

void
access_log_add(AccessLog *log, const AccessEntry *entry)
{
    access_log_format(log->lines, entry);
    if (log->lines->len >= FLUSH_AT)
        access_log_flush(log);
}
