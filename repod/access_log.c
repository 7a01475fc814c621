// SPDX-License-Identifier: Apache-2.0
/* The access log: formatting, and one buffer per worker. */
#include "repod/access_log.h"

#include "base/fd.h"

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

/* A line for each request is no place for printf(). */
static void
append_number(GString *out, uint64_t number, int least_digits)
{
    char digits[20], *const end = digits + sizeof digits, *at = end;

    for (; number > 0 || end - at < least_digits; number /= 10)
        *--at = (char)('0' + number % 10);
    g_string_append_len(out, at, end - at);
}

static void
append_time(GString *out, int64_t now_us)
{
    const time_t seconds = now_us / G_USEC_PER_SEC;
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    append_number(out, (uint64_t)tm.tm_year + 1900, 4);
    g_string_append_c(out, '-');
    append_number(out, (uint64_t)tm.tm_mon + 1, 2);
    g_string_append_c(out, '-');
    append_number(out, (uint64_t)tm.tm_mday, 2);
    g_string_append_c(out, 'T');
    append_number(out, (uint64_t)tm.tm_hour, 2);
    g_string_append_c(out, ':');
    append_number(out, (uint64_t)tm.tm_min, 2);
    g_string_append_c(out, ':');
    append_number(out, (uint64_t)tm.tm_sec, 2);
    g_string_append_c(out, '.');
    append_number(out, (uint64_t)(now_us % G_USEC_PER_SEC / 1000), 3);
    g_string_append_c(out, 'Z');
}

static bool
is_plain(char c)
{
    return g_ascii_isgraph(c) && c != '\\';
}

static void
append_text(GString *out, HttpText text)
{
    size_t n;

    for (size_t i = 0; i < text.length; i += n) {
        for (n = 0; i + n < text.length && is_plain(text.at[i + n]); n++)
            ;
        g_string_append_len(out, text.at + i, (gssize)n);
        if (n == 0)
            g_string_append_printf(out, "\\x%02x", (unsigned char)text.at[i + n++]);
    }
}

void
access_log_format(GString *out, const AccessEntry *entry)
{
    static const HttpText unknown = {"-", 1};
    append_time(out, entry->now_us);
    g_string_append_c(out, ' ');
    g_string_append(out, entry->peer);
    g_string_append_c(out, ' ');
    append_text(out, entry->text != NULL ? entry->text->method : unknown);
    g_string_append_c(out, ' ');
    append_text(out, entry->text != NULL ? entry->text->target : unknown);
    g_string_append_c(out, ' ');
    append_number(out, (uint64_t)entry->status, 1);
    g_string_append_c(out, ' ');
    append_number(out, entry->body_bytes, 1);
    g_string_append_c(out, ' ');
    append_number(out, (uint64_t)MAX(entry->duration_us, 0), 1);
    g_string_append_c(out, '\n');
}

/* append_member: nothing for a text that is not there. */
static void
append_member(GString *out, const char *key, HttpText text)
{
    if (text.at == NULL || text.length == 0)
        return;
    g_string_append(out, ",\"");
    g_string_append(out, key);
    g_string_append(out, "\":\"");
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
    g_string_append(out, "{\"time\":\"");
    append_time(out, entry->now_us);
    g_string_append_c(out, '"');
    append_member(out, "peer", whole(entry->peer));
    if (entry->text != NULL) {
        append_member(out, "method", entry->text->method);
        append_member(out, "target", entry->text->target);
    }
    g_string_append(out, ",\"status\":");
    append_number(out, (uint64_t)entry->status, 1);
    g_string_append(out, ",\"bytes\":");
    append_number(out, entry->body_bytes, 1);
    g_string_append(out, ",\"microseconds\":");
    append_number(out, (uint64_t)MAX(entry->duration_us, 0), 1);
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

bool
access_log_is_empty(const AccessLog *log)
{
    return log->lines->len == 0;
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
