// SPDX-License-Identifier: Apache-2.0
/*
 * A strict parser for request heads. Whatever two HTTP implementations could read differently is refused,
 * since a proxy in front and this server must agree on where each request ends (request smuggling).
 */
#include "repod/http_parse.h"

#include <glib.h>
#include <string.h>

/* Fields with a meaning here, except Connection, which may come several times. */
typedef enum {
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_EXPECT,
    FIELD_AUTHORIZATION,
    FIELD_CONTENT_TYPE,
    FIELD_UPLOAD_COMPLETE,
    FIELD_UPLOAD_LENGTH,
    FIELD_UPLOAD_OFFSET,
    FIELD_IF_MATCH,
    FIELD_RANGE,
    FIELD_IF_RANGE,
    FIELD_IF_NONE_MATCH,
    FIELD_IF_MODIFIED_SINCE,
    FIELD_USER_AGENT,
    FIELD_FORWARDED,
    FIELD_X_FORWARDED_FOR,
    FIELD_VIA,
    N_FIELDS,
} Field;

#define NAME(text)                                                                                           \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }
static const HttpText field_names[N_FIELDS] = {
    NAME("host"),
    NAME("content-length"),
    NAME("transfer-encoding"),
    NAME("expect"),
    NAME("authorization"),
    NAME("content-type"),
    NAME("upload-complete"),
    NAME("upload-length"),
    NAME("upload-offset"),
    NAME("if-match"),
    NAME("range"),
    NAME("if-range"),
    NAME("if-none-match"),
    NAME("if-modified-since"),
    NAME("user-agent"),
    NAME("forwarded"),
    NAME("x-forwarded-for"),
    NAME("via"),
};

static const struct {
    const char *name;
    HttpMethod method;
} methods[] = {
    {"GET", HTTP_GET},   {"HEAD", HTTP_HEAD},   {"PUT", HTTP_PUT},
    {"POST", HTTP_POST}, {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
};

typedef struct {
    HttpText value[N_FIELDS];
    unsigned count[N_FIELDS];
    bool is_http10;
    bool has_close;
} Fields;

bool
http_text_is(HttpText text, const char *expected)
{
    return strlen(expected) == text.length && g_ascii_strncasecmp(text.at, expected, text.length) == 0;
}

static HttpText
trim(HttpText text)
{
    while (text.length > 0 && (*text.at == ' ' || *text.at == '\t')) {
        text.at++;
        text.length--;
    }
    while (text.length > 0 && (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
        text.length--;
    return text;
}

/* Cut @rest at the first @separator and return what was before it; all of it where there is none. */
static HttpText
cut(HttpText *rest, char separator)
{
    const char *at = rest->length > 0 ? memchr(rest->at, separator, rest->length) : NULL;
    HttpText first = {rest->at, at == NULL ? rest->length : (size_t)(at - rest->at)};
    size_t used = at == NULL ? first.length : first.length + 1;

    rest->at += used;
    rest->length -= used;
    return first;
}

bool
http_is_token_char(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(HttpText text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!http_is_token_char(text.at[i]))
            return false;
    return text.length > 0;
}

/* Lines end in CR LF and hold no other control byte than a tab. Done on every call, so that a client that
 * speaks something else (bare LF, TLS) hears so at once instead of waiting for a time limit. */
static bool
has_clean_lines(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c >= 0x20 ? c == 0x7f : c != '\t' && c != '\r' && c != '\n')
            return false;
        if (c == '\n' && (i == 0 || data[i - 1] != '\r'))
            return false;
        if (c == '\r' && i + 1 < size && data[i + 1] != '\n')
            return false;
    }
    return true;
}

static int
parse_request_line(HttpText line, HttpRequest *out, Fields *fields)
{
    HttpText rest = line;
    HttpText method = cut(&rest, ' ');
    HttpText target = cut(&rest, ' ');

    if (!is_token(method) || target.length == 0)
        return 400;
    for (size_t i = 0; i < target.length; i++)
        if (!g_ascii_isgraph(target.at[i]))
            return 400;
    if (rest.length != 8 || memcmp(rest.at, "HTTP/", 5) != 0 || !g_ascii_isdigit(rest.at[5]) ||
        rest.at[6] != '.' || !g_ascii_isdigit(rest.at[7]))
        return 400;
    out->method_name = method;
    out->target = target;
    if (rest.at[5] != '1' || rest.at[7] > '1')
        return 505;
    fields->is_http10 = rest.at[7] == '0';
    /* Methods, unlike field names, are case-sensitive. */
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
        if (strlen(methods[i].name) == method.length &&
            memcmp(methods[i].name, method.at, method.length) == 0)
            out->method = methods[i].method;
    return 0;
}

static int
parse_field(HttpText line, Fields *fields)
{
    HttpText value = line;
    HttpText name = cut(&value, ':');

    /* A folded line starts with a blank, and so does not start with a name either. */
    if (name.length == line.length || !is_token(name))
        return 400;
    value = trim(value);
    if (http_text_is(name, "connection"))
        while (value.length > 0)
            fields->has_close |= http_text_is(trim(cut(&value, ',')), "close");
    for (Field f = 0; f < N_FIELDS; f++) {
        if (name.length != field_names[f].length ||
            g_ascii_strncasecmp(name.at, field_names[f].at, name.length) != 0)
            continue;
        fields->value[f] = value;
        if (fields->count[f]++ > 0)
            fields->value[f].length = 0;
    }
    return 0;
}

/* RFC 3986, 3.2.2 and 3.2.3, loosely: enough that nothing else can hide in the name. */
static int
check_host(const Fields *fields)
{
    HttpText host = fields->value[FIELD_HOST];

    if (fields->count[FIELD_HOST] == 0)
        return fields->is_http10 ? 0 : 400;
    if (fields->count[FIELD_HOST] > 1 || host.length == 0)
        return 400;
    for (size_t i = 0; i < host.length; i++)
        if (!g_ascii_isalnum(host.at[i]) &&
            (host.at[i] == '\0' || strchr("-._~%!$&'()*+;=:[]", host.at[i]) == NULL))
            return 400;
    return 0;
}

bool
http_number_parse(HttpText text, uint64_t *out_number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.length; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text.at[i] - '0';

        if (digit > 9 || value > (G_MAXINT64 - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out_number = value;
    return text.length > 0;
}

/* RFC 9112, 6.3: how long the body is; where that is announced badly the peer is broken or hostile. */
static int
check_body(const Fields *fields, HttpRequest *out)
{
    if (fields->count[FIELD_TRANSFER_ENCODING] > 0) {
        if (fields->count[FIELD_TRANSFER_ENCODING] > 1 || fields->count[FIELD_CONTENT_LENGTH] > 0 ||
            fields->is_http10)
            return 400;
        out->has_body = out->is_chunked = true;
        return http_text_is(fields->value[FIELD_TRANSFER_ENCODING], "chunked") ? 0 : 501;
    }
    if (fields->count[FIELD_CONTENT_LENGTH] == 0)
        return 0;
    if (fields->count[FIELD_CONTENT_LENGTH] > 1 ||
        !http_number_parse(fields->value[FIELD_CONTENT_LENGTH], &out->length))
        return 400;
    out->has_body = out->length > 0;
    return 0;
}

/* RFC 9110, 10.1.1 */
static int
check_expect(const Fields *fields, HttpRequest *out)
{
    if (fields->count[FIELD_EXPECT] == 0)
        return 0;
    if (fields->count[FIELD_EXPECT] > 1 || !http_text_is(fields->value[FIELD_EXPECT], "100-continue"))
        return 417;
    out->has_expect = !fields->is_http10 && out->has_body;
    return 0;
}

/* RFC 9112, 3.2.2: a proxy's "http://host/path" is taken when it names the same host as the Host field. */
static int
parse_target(HttpText target, const Fields *fields, HttpRequest *out)
{
    static const char scheme[] = "http://";
    const size_t scheme_length = sizeof scheme - 1;
    HttpText authority, path;

    if (target.at[0] == '/' || target.length <= scheme_length ||
        g_ascii_strncasecmp(target.at, scheme, scheme_length) != 0)
        return http_path_decode(target, out->path, &out->is_folder);
    path = (HttpText){target.at + scheme_length, target.length - scheme_length};
    authority = cut(&path, '/');
    if (authority.length == 0 || authority.length != fields->value[FIELD_HOST].length ||
        g_ascii_strncasecmp(authority.at, fields->value[FIELD_HOST].at, authority.length) != 0)
        return 400;
    if (authority.length == target.length - scheme_length)
        return 400; /* no path: only OPTIONS may leave it out */
    path.at--;
    path.length++;
    return http_path_decode(path, out->path, &out->is_folder);
}

static int
parse_head(HttpText head, HttpRequest *out)
{
    Fields fields = {.is_http10 = false};
    unsigned n_fields = 0;
    int status = parse_request_line(cut(&head, '\r'), out, &fields);

    while (status == 0 && head.length > 1) {
        cut(&head, '\n');
        status = n_fields++ < HTTP_MAX_FIELDS ? parse_field(cut(&head, '\r'), &fields) : 431;
    }
    if (status == 0)
        status = check_host(&fields);
    if (status == 0)
        status = check_body(&fields, out);
    if (status == 0)
        status = check_expect(&fields, out);
    if (status != 0)
        return status;
    if (out->method == HTTP_OTHER)
        return 405;
    if (out->has_body && (out->method == HTTP_GET || out->method == HTTP_HEAD || out->method == HTTP_DELETE))
        return 413;
    out->should_close = fields.has_close || fields.is_http10;
    out->host = fields.value[FIELD_HOST];
    out->authorization = fields.value[FIELD_AUTHORIZATION];
    out->content_type = fields.value[FIELD_CONTENT_TYPE];
    out->upload_complete = fields.value[FIELD_UPLOAD_COMPLETE];
    out->upload_length = fields.value[FIELD_UPLOAD_LENGTH];
    out->upload_offset = fields.value[FIELD_UPLOAD_OFFSET];
    out->if_match = fields.value[FIELD_IF_MATCH];
    out->range = fields.value[FIELD_RANGE];
    out->if_range = fields.value[FIELD_IF_RANGE];
    out->if_none_match = fields.value[FIELD_IF_NONE_MATCH];
    out->if_modified_since = fields.value[FIELD_IF_MODIFIED_SINCE];
    out->user_agent = fields.value[FIELD_USER_AGENT];
    out->is_forwarded = fields.count[FIELD_FORWARDED] > 0 || fields.count[FIELD_X_FORWARDED_FOR] > 0 ||
                        fields.count[FIELD_VIA] > 0;
    return parse_target(out->target, &fields, out);
}

static HttpVerdict
refuse(HttpRequest *out, int status)
{
    out->refusal = status;
    out->should_close = true;
    return HTTP_REFUSED;
}

HttpVerdict
http_request_parse(const char *data, size_t size, HttpRequest *out)
{
    size_t window = MIN(size, HTTP_MAX_HEAD);
    const char *end = memmem(data, window, "\r\n\r\n", 4);
    size_t head_size = end == NULL ? window : (size_t)(end - data) + 4;
    int status;

    memset(out, 0, offsetof(HttpRequest, path) + 1);
    if (!has_clean_lines(data, head_size))
        return refuse(out, 400);
    if (end == NULL && window == HTTP_MAX_HEAD)
        return refuse(out, memchr(data, '\r', window) == NULL ? 414 : 431);
    if (end == NULL)
        return HTTP_PARTIAL;
    out->size = head_size;
    status = parse_head((HttpText){data, head_size - 2}, out);
    return status == 0 ? HTTP_COMPLETE : refuse(out, status);
}
