// SPDX-License-Identifier: Apache-2.0
/* The access log: formatting, and one buffer per worker that is written once per turn of its loop. */
#include "repod/access_log.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line is at most 100 KiB (a head of 16 KiB, each byte six), and usually 150 bytes. */
#define FLUSH_AT 32768

struct AccessLog {
    int fd;
    bool is_json;
    GString *lines;
};

AccessText *
access_text_new(const HttpRequest *request)
{
    const size_t agent_length = MIN(request->user_agent.length, ACCESS_MAX_AGENT);
    const HttpText parts[] = {request->method_name, request->target, {request->user_agent.at, agent_length}};
    AccessText *text = g_malloc(sizeof *text + parts[0].length + parts[1].length + parts[2].length);
    HttpText *const copies[] = {&text->method, &text->target, &text->agent};
    char *at = text->bytes;

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        *copies[i] = (HttpText){at, parts[i].length};
        if (parts[i].length > 0)
            memcpy(at, parts[i].at, parts[i].length);
        at += parts[i].length;
    }
    return text;
}

static void
append_time(GString *out, int64_t now_us)
{
    time_t seconds = now_us / G_USEC_PER_SEC;
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    g_string_append_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                           tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                           (int)(now_us % G_USEC_PER_SEC / 1000));
}

static void
append_text(GString *out, HttpText text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (g_ascii_isgraph(text.at[i]) && text.at[i] != '\\')
            g_string_append_c(out, text.at[i]);
        else
            g_string_append_printf(out, "\\x%02x", (unsigned char)text.at[i]);
    }
}

void
access_log_format(GString *out, const AccessEntry *entry)
{
    static const HttpText unknown = {"-", 1};
    char peer[PEER_TEXT_MAX];

    peer_print(entry->peer, peer);
    append_time(out, entry->now_us);
    g_string_append_printf(out, " %s ", peer);
    append_text(out, entry->text != NULL ? entry->text->method : unknown);
    g_string_append_c(out, ' ');
    append_text(out, entry->text != NULL ? entry->text->target : unknown);
    g_string_append_printf(out, " %d %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT "\n", entry->status,
                           (guint64)entry->body_bytes, (gint64)entry->duration_us);
}

/* append_member: nothing for a text that is not there. */
static void
append_member(GString *out, const char *key, HttpText text)
{
    if (text.at == NULL || text.length == 0)
        return;
    g_string_append_printf(out, ",\"%s\":\"", key);
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.at[i];

        if (c == '"' || c == '\\')
            g_string_append_c(out, '\\');
        if (g_ascii_isprint(c))
            g_string_append_c(out, c);
        else
            g_string_append_printf(out, "\\u00%02x", (unsigned char)c);
    }
    g_string_append_c(out, '"');
}

static HttpText
whole(const char *text)
{
    return (HttpText){text, text != NULL ? strlen(text) : 0};
}

void
access_log_format_json(GString *out, const AccessEntry *entry)
{
    char peer[PEER_TEXT_MAX];

    peer_print(entry->peer, peer);
    g_string_append(out, "{\"time\":\"");
    append_time(out, entry->now_us);
    g_string_append_c(out, '"');
    append_member(out, "peer", whole(peer));
    if (entry->text != NULL) {
        append_member(out, "method", entry->text->method);
        append_member(out, "target", entry->text->target);
    }
    g_string_append_printf(
        out, ",\"status\":%d,\"bytes\":%" G_GUINT64_FORMAT ",\"microseconds\":%" G_GINT64_FORMAT,
        entry->status, (guint64)entry->body_bytes, (gint64)entry->duration_us);
    append_member(out, "repository", whole(entry->note->site));
    append_member(out, "token", whole(entry->note->token));
    if (entry->text != NULL)
        append_member(out, "agent", entry->text->agent);
    g_string_append(out, "}\n");
}

AccessLog *
access_log_new(int fd, bool is_json)
{
    AccessLog *log = g_new0(AccessLog, 1);

    log->fd = fd;
    log->is_json = is_json;
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
    if (log->is_json)
        access_log_format_json(log->lines, entry);
    else
        access_log_format(log->lines, entry);
    if (log->lines->len >= FLUSH_AT)
        access_log_flush(log);
}
