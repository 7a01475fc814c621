// SPDX-License-Identifier: Apache-2.0
/* Conditional requests, ranges and the fields of every answer (RFC 9110, 13 and 14; RFC 9111 for caching). */
#include "repod/response.h"
#include "repod/range.h"

#include <glib.h>
#include <string.h>

#define BLOB_PREFIX "blobs/"
#define SHA512_PREFIX "blobs/sha512/"
#define SHA512_HEX 128

static G_GNUC_PRINTF(2, 3) void append(Response *out, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = g_vsnprintf(out->head + out->head_length, sizeof out->head - out->head_length, format, args);
    va_end(args);
    g_assert(n >= 0 && (size_t)n < sizeof out->head - out->head_length);
    out->head_length += (size_t)n;
}

static const char *
reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {206, "Partial Content"},
        {304, "Not Modified"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    g_assert_not_reached();
}

void
response_format_date(time_t when, char out_text[30])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm = {0};

    /* Not strftime(): its names depend on the locale. */
    gmtime_r(&when, &tm);
    g_snprintf(out_text, 30, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static const char *
content_type(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    if (g_str_has_prefix(path, BLOB_PREFIX))
        return "application/octet-stream";
    if (g_str_has_suffix(name, ".sig"))
        return "application/pgp-signature";
    if (strcmp(name, "keys.asc") == 0)
        return "application/pgp-keys";
    if (g_str_has_suffix(name, ".asc") || g_str_has_prefix(name, "index") || strcmp(name, "trust") == 0)
        return "text/plain; charset=utf-8";
    return "application/octet-stream";
}

static bool
is_sha512_name(const char *path)
{
    const size_t hex_at = strlen(SHA512_PREFIX) + 3;
    const char *hex;

    if (strlen(path) != hex_at + SHA512_HEX || !g_str_has_prefix(path, SHA512_PREFIX) ||
        path[hex_at - 1] != '/')
        return false;
    hex = path + hex_at;
    for (size_t i = 0; i < SHA512_HEX; i++)
        if (!g_ascii_isdigit(hex[i]) && !(hex[i] >= 'a' && hex[i] <= 'f'))
            return false;
    return true;
}

void
response_file_facts(const struct stat *status, FileFacts *out_facts)
{
    *out_facts = (FileFacts){
        .size = (uint64_t)status->st_size,
        .inode = status->st_ino,
        .mtime_seconds = status->st_mtim.tv_sec,
        .mtime_nanoseconds = status->st_mtim.tv_nsec,
    };
}

/* A blob's tag is its content, the same on every mirror. Any other file's tag is this very file. */
void
response_print_etag(const char *path, const FileFacts *facts, char out_etag[RESPONSE_ETAG_MAX])
{
    if (is_sha512_name(path))
        g_snprintf(out_etag, RESPONSE_ETAG_MAX, "\"sha512-%s\"", strrchr(path, '/') + 1);
    else
        g_snprintf(out_etag, RESPONSE_ETAG_MAX,
                   "\"%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER
                   "x.%" G_GINT64_MODIFIER "x\"",
                   (guint64)facts->inode, (guint64)facts->size, (guint64)facts->mtime_seconds,
                   (guint64)facts->mtime_nanoseconds);
}

/* RFC 9110, 13.1.2: a list of tags, compared weakly. A comma inside a tag splits it into two that match
 * nothing of ours, which has none. */
bool
response_is_listed(HttpText list, const char *etag)
{
    const size_t length = strlen(etag);

    if (http_text_is(list, "*"))
        return true;
    for (const char *at = list.at, *end = at + list.length; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma == NULL ? end : comma;

        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        if (stop - at >= 2 && memcmp(at, "W/", 2) == 0)
            at += 2;
        while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        if ((size_t)(stop - at) == length && memcmp(at, etag, length) == 0)
            return true;
        at = comma == NULL ? end : comma + 1;
    }
    return false;
}

/* 13.2.2. Dates must be equal, not just later: after a rollback the older file is the new one. */
static bool
is_not_modified(const HttpRequest *request, const char *etag, const char *last_modified)
{
    if (request->if_none_match.at != NULL)
        return response_is_listed(request->if_none_match, etag);
    return request->if_modified_since.at != NULL && *last_modified != '\0' &&
           http_text_is(request->if_modified_since, last_modified);
}

/* 14.2: ranges exist for GET alone. 13.1.5: If-Range takes the very tag; a date or weak tag means the whole
 * file. */
static RangeKind
wanted_range(const HttpRequest *request, const char *etag, uint64_t size, ByteRange *out_range)
{
    HttpText condition = request->if_range;
    HttpText range = request->range;

    if (request->method != HTTP_GET ||
        (condition.at != NULL &&
         (condition.length != strlen(etag) || memcmp(condition.at, etag, condition.length) != 0)))
        range = (HttpText){NULL, 0};
    return range_parse(range, size, out_range);
}

static void
begin(Response *out, int status, time_t now, bool should_close)
{
    char date[30];

    out->status = status;
    out->should_close = should_close;
    out->offset = out->length = 0;
    out->head_length = 0;
    response_format_date(now, date);
    append(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: repod\r\n", status, reason(status), date);
    if (should_close)
        append(out, "Connection: close\r\n");
}

/* The rest of an answer that is no file. */
static void
end_with_text(Response *out, bool is_head)
{
    g_autofree char *text = g_strdup_printf("%d %s\n", out->status, reason(out->status));

    append(
        out,
        "Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
        strlen(text));
    if (!is_head)
        append(out, "%s", text);
}

void
response_status(const HttpRequest *request, int status, time_t now, bool should_close, Response *out)
{
    begin(out, status, now, should_close);
    if (status == 405)
        append(out, "Allow: GET, HEAD\r\n");
    if (status == 503)
        append(out, "Retry-After: 5\r\n");
    end_with_text(out, request->method == HTTP_HEAD);
}

void
response_head(const ResponseHead *head, time_t now, Response *out)
{
    g_assert(head->fields == NULL || strlen(head->fields) <= RESPONSE_FIELDS_MAX);
    begin(out, head->status, now, head->should_close);
    append(out, "Cache-Control: %s\r\n%s", head->cache_control != NULL ? head->cache_control : "no-store",
           head->fields != NULL ? head->fields : "");
    if (head->status != 204) /* RFC 9110, 8.6 */
        append(out,
               "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %" G_GUINT64_FORMAT
               "\r\n",
               head->content_type, (guint64)head->length);
    append(out, "\r\n");
    out->length = head->is_head ? 0 : head->length;
}

void
response_file(const HttpRequest *request, const char *path, const FileFacts *facts, time_t now,
              bool should_close, Response *out)
{
    char etag[RESPONSE_ETAG_MAX], last_modified[30] = "";
    ByteRange range = {0, 0};
    RangeKind kind = RANGE_WHOLE;
    bool is_blob = g_str_has_prefix(path, BLOB_PREFIX);
    int status = 304;

    response_print_etag(path, facts, etag);
    /* 8.8.2.2: a date in whole seconds can still become that of a second version while its second lasts. */
    if (facts->mtime_seconds + 1 < now && facts->mtime_seconds >= 0)
        response_format_date(facts->mtime_seconds, last_modified);
    if (!is_not_modified(request, etag, last_modified)) {
        kind = wanted_range(request, etag, facts->size, &range);
        status = kind == RANGE_PART ? 206 : kind == RANGE_UNSATISFIABLE ? 416 : 200;
    }

    begin(out, status, now, should_close);
    if (status == 416) {
        append(out, "Content-Range: bytes */%" G_GUINT64_FORMAT "\r\n", (guint64)facts->size);
        end_with_text(out, false);
        return;
    }
    append(out, "ETag: %s\r\nCache-Control: %s\r\n", etag,
           is_blob ? "public, max-age=31536000, immutable" : "no-cache");
    if (*last_modified != '\0')
        append(out, "Last-Modified: %s\r\n", last_modified);
    if (status != 304)
        append(out,
               "Accept-Ranges: bytes\r\nContent-Type: %s\r\nX-Content-Type-Options: "
               "nosniff\r\nContent-Length: %" G_GUINT64_FORMAT "\r\n",
               content_type(path), (guint64)range.length);
    if (status == 206)
        append(out,
               "Content-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT "\r\n",
               (guint64)range.first, (guint64)(range.first + range.length - 1), (guint64)facts->size);
    append(out, "\r\n");
    if (status != 304 && request->method == HTTP_GET) {
        out->offset = range.first;
        out->length = range.length;
    }
}
