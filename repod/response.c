// SPDX-License-Identifier: Apache-2.0
/* Conditional requests, ranges and the fields of every answer (RFC 9110, 13 and 14; RFC 9111 for caching). */
#include "repod/response.h"
#include "repod/range.h"

#include <glib.h>
#include <string.h>

#define BLOB_PREFIX "blobs/"
#define SHA512_PREFIX "blobs/sha512/"
#define SHA512_HEX 128

/* Every answer is made of these. With printf() they took a fifth of the time that a small file takes outside the kernel. */
static G_GNUC_NULL_TERMINATED void
append(Response *out, const char *text, ...)
{
    va_list args;

    va_start(args, text);
    for (; text != NULL; text = va_arg(args, const char *)) {
        const size_t length = strlen(text);

        g_assert(length < sizeof out->head - out->head_length);
        memcpy(out->head + out->head_length, text, length + 1);
        out->head_length += length;
    }
    va_end(args);
}

static void
append_number(Response *out, uint64_t number)
{
    char digits[21], *at = digits + sizeof digits - 1;

    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    append(out, at, NULL);
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

/* The last @n of them. */
static void
print_digits(char *out, int number, int n)
{
    while (n-- > 0) {
        out[n] = (char)('0' + number % 10);
        number /= 10;
    }
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
    memcpy(out_text, "Www, dd Mmm yyyy hh:mm:ss GMT", 30);
    memcpy(out_text, days[tm.tm_wday], 3);
    print_digits(out_text + 5, tm.tm_mday, 2);
    memcpy(out_text + 8, months[tm.tm_mon], 3);
    print_digits(out_text + 12, tm.tm_year + 1900, 4);
    print_digits(out_text + 17, tm.tm_hour, 2);
    print_digits(out_text + 20, tm.tm_min, 2);
    print_digits(out_text + 23, tm.tm_sec, 2);
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

/* A blob's tag is its content, the same on every mirror. Any other file's tag is this very file. */
static void
print_etag(const char *path, const struct stat *status, char out_etag[RESPONSE_ETAG_MAX])
{
    if (is_sha512_name(path))
        g_snprintf(out_etag, RESPONSE_ETAG_MAX, "\"sha512-%s\"", strrchr(path, '/') + 1);
    else
        g_snprintf(out_etag, RESPONSE_ETAG_MAX,
                   "\"%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER
                   "x.%" G_GINT64_MODIFIER "x\"",
                   (guint64)status->st_ino, (guint64)status->st_size, (guint64)status->st_mtim.tv_sec,
                   (guint64)status->st_mtim.tv_nsec);
}

/* RFC 9530, 3. The tag has it in hex. */
static void
print_digest(const char *etag, char out_digest[RESPONSE_DIGEST_MAX])
{
    const char *hex = etag + strlen("\"sha512-");
    guchar digest[SHA512_HEX / 2];
    g_autofree char *base64 = NULL;

    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (guchar)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    base64 = g_base64_encode(digest, sizeof digest);
    g_snprintf(out_digest, RESPONSE_DIGEST_MAX, "sha-512=:%s:", base64);
}

void
response_file_facts(const char *path, const struct stat *status, FileFacts *out_facts)
{
    *out_facts = (FileFacts){
        .size = (uint64_t)status->st_size,
        .mtime_seconds = status->st_mtim.tv_sec,
        .is_blob = g_str_has_prefix(path, BLOB_PREFIX),
        .content_type = content_type(path),
    };
    print_etag(path, status, out_facts->etag);
    if (is_sha512_name(path))
        print_digest(out_facts->etag, out_facts->digest);
    response_format_date(MAX(status->st_mtim.tv_sec, 0), out_facts->last_modified);
}

/* A list of tags. A comma inside a tag splits it into two that match nothing of ours, which has none. @is_strong: a weak tag
 * matches nothing. */
static bool
is_listed(HttpText list, const char *etag, bool is_strong)
{
    const size_t length = strlen(etag);

    if (http_text_is(list, "*"))
        return true;
    for (const char *at = list.at, *end = at + list.length; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma == NULL ? end : comma;

        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        if (!is_strong && stop - at >= 2 && memcmp(at, "W/", 2) == 0)
            at += 2;
        while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        if ((size_t)(stop - at) == length && memcmp(at, etag, length) == 0)
            return true;
        at = comma == NULL ? end : comma + 1;
    }
    return false;
}

bool
response_is_listed(HttpText list, const char *etag)
{
    return is_listed(list, etag, false);
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
    /* Thousands of answers are of the same second. */
    static _Thread_local time_t date_of = -1;
    static _Thread_local char date[30];

    if (now != date_of)
        response_format_date(date_of = now, date);
    out->status = status;
    out->should_close = should_close;
    out->offset = out->length = 0;
    out->head_length = 0;
    append(out, "HTTP/1.1 ", NULL);
    append_number(out, (uint64_t)status);
    append(out, " ", reason(status), "\r\nDate: ", date, "\r\nServer: repod\r\n",
           should_close ? "Connection: close\r\n" : NULL, NULL);
}

/* The rest of an answer that is no file. */
static void
end_with_text(Response *out, bool is_head)
{
    g_autofree char *text = g_strdup_printf("%d %s\n", out->status, reason(out->status));

    append(out,
           "Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ", NULL);
    append_number(out, strlen(text));
    append(out, "\r\n\r\n", is_head ? NULL : text, NULL);
}

void
response_status(const HttpRequest *request, int status, time_t now, bool should_close, Response *out)
{
    begin(out, status, now, should_close);
    if (status == 405)
        append(out, "Allow: GET, HEAD\r\n", NULL);
    if (status == 503)
        append(out, "Retry-After: 5\r\n", NULL);
    end_with_text(out, request->method == HTTP_HEAD);
}

static void
append_content(Response *out, const char *type, uint64_t length)
{
    append(out, "Content-Type: ", type, "\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ", NULL);
    append_number(out, length);
    append(out, "\r\n", NULL);
}

/* A shared cache keeps what is public even if it was asked for with a token (RFC 9111, 3.5), and then gives it to anybody. */
static const char *
caching(const FileFacts *facts)
{
    if (facts->is_private)
        return facts->is_blob ? "private, max-age=31536000, immutable" : "private, no-cache";
    return facts->is_blob ? "public, max-age=31536000, immutable" : "no-cache";
}

/* @range: NULL: none of the file's bytes. */
static void
append_range(Response *out, const ByteRange *range, uint64_t size)
{
    append(out, "Content-Range: bytes ", NULL);
    if (range == NULL) {
        append(out, "*", NULL);
    } else {
        append_number(out, range->first);
        append(out, "-", NULL);
        append_number(out, range->first + range->length - 1);
    }
    append(out, "/", NULL);
    append_number(out, size);
    append(out, "\r\n", NULL);
}

void
response_head(const ResponseHead *head, time_t now, Response *out)
{
    g_assert(head->fields == NULL || strlen(head->fields) <= RESPONSE_FIELDS_MAX);
    begin(out, head->status, now, head->should_close);
    append(out, "Cache-Control: ", head->cache_control != NULL ? head->cache_control : "no-store", "\r\n",
           head->fields, NULL);
    /* RFC 9110, 8.6 and 15.4.5; there are clients that wait for a body when they see its length. */
    if (head->status != 204 && head->status != 304)
        append_content(out, head->content_type, head->length);
    append(out, "\r\n", NULL);
    out->length = head->is_head ? 0 : head->length;
}

void
response_file(const HttpRequest *request, const FileFacts *facts, time_t now, bool should_close,
              Response *out)
{
    ByteRange range = {0, 0};
    RangeKind kind = RANGE_WHOLE;
    /* 8.8.2.2: a date in whole seconds can still become that of a second version while its second lasts. */
    const bool has_date = facts->mtime_seconds + 1 < now && facts->mtime_seconds >= 0;
    int status = 304;

    /* 13.1.1: before all other conditions. */
    if (request->if_match.at != NULL && !is_listed(request->if_match, facts->etag, true)) {
        response_status(request, 412, now, should_close, out);
        return;
    }
    if (!is_not_modified(request, facts->etag, has_date ? facts->last_modified : "")) {
        kind = wanted_range(request, facts->etag, facts->size, &range);
        status = kind == RANGE_PART ? 206 : kind == RANGE_UNSATISFIABLE ? 416 : 200;
    }

    begin(out, status, now, should_close);
    if (status == 416) {
        append_range(out, NULL, facts->size);
        end_with_text(out, false);
        return;
    }
    append(out, "ETag: ", facts->etag, "\r\nCache-Control: ", caching(facts), "\r\n", NULL);
    if (has_date)
        append(out, "Last-Modified: ", facts->last_modified, "\r\n", NULL);
    if (status != 304) {
        append(out, "Accept-Ranges: bytes\r\n", NULL);
        if (facts->digest[0] != '\0')
            append(out, "Repr-Digest: ", facts->digest, "\r\n", NULL);
        append_content(out, facts->content_type, range.length);
    }
    if (status == 206)
        append_range(out, &range, facts->size);
    append(out, "\r\n", NULL);
    if (status != 304 && request->method == HTTP_GET) {
        out->offset = range.first;
        out->length = range.length;
    }
}
