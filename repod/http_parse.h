// SPDX-License-Identifier: Apache-2.0
/* Bytes in, one HTTP/1.x request head out; private to repod/. No I/O, no allocation: these are the fuzzed
 * parts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of one request. A pull sends about 300 bytes in 5 fields; 16 KiB and 64 leave room for proxies. */
#define HTTP_MAX_HEAD 16384
#define HTTP_MAX_FIELDS 64
#define HTTP_MAX_PATH 4095 /* PATH_MAX less its NUL: nothing longer can be opened */

/** HttpText: a piece of the input, not NUL-terminated. @at is NULL where there is none. */
typedef struct {
    const char *at;
    size_t length;
} HttpText;

typedef enum {
    HTTP_OTHER,
    HTTP_GET,
    HTTP_HEAD,
    HTTP_PUT,
    HTTP_POST,
    HTTP_PATCH,
    HTTP_DELETE,
} HttpMethod;

typedef struct {
    HttpMethod method;
    HttpText method_name; /* as sent, for the log; set as soon as the request line was understood */
    HttpText target;
    bool should_close; /* the client asked, speaks 1.0, or was refused */
    int refusal;       /* the status for HTTP_REFUSED, else 0 */
    size_t size;       /* bytes of the head including its empty line */

    bool has_body; /* of stated or chunked length; GET, HEAD and DELETE with one are refused */
    bool is_chunked;
    uint64_t length; /* of the body; 0 where it is chunked */
    bool has_expect; /* the client waits for 100 (Continue) before it sends the body */

    /* A field that came more than once is present and empty, so that it matches nothing. */
    HttpText host;
    HttpText authorization;
    HttpText content_type;
    HttpText upload_complete; /* these three: draft-ietf-httpbis-resumable-upload */
    HttpText upload_length;
    HttpText upload_offset;
    HttpText if_match;
    HttpText range;
    HttpText if_range;
    HttpText if_none_match;
    HttpText if_modified_since;
    HttpText user_agent; /* for the log */
    bool is_forwarded;   /* a proxy says that it passes on what another client asked for */

    bool is_folder; /* the target ends in a slash: @path is "" or does so too */
    char path[HTTP_MAX_PATH +
              1]; /* relative and decoded; "" also where the target cannot name a served file */
} HttpRequest;

typedef enum {
    HTTP_PARTIAL,  /* more bytes are needed; only with fewer than HTTP_MAX_HEAD */
    HTTP_COMPLETE, /* a whole head; a body may follow it */
    HTTP_REFUSED,  /* answer @refusal, then close: where the next request starts is not known */
} HttpVerdict;

/**
 * http_request_parse: read one head from the start of @data. The texts in @out point into @data.
 * Refused is whatever RFC 9112 does not allow, and what it allows only for old peers: bare LF, folded fields.
 */
HttpVerdict http_request_parse(const char *data, size_t size, HttpRequest *out);

/**
 * http_path_decode: the path of a target in origin-form ("/blobs/x?query"), percent-decoded, without its
 * first slash, into @out_path of HTTP_MAX_PATH + 1 bytes. It becomes "" where a component is empty or starts
 * with a dot: such names are never served. @out_is_folder: "" or "blobs/", which name no file but perhaps a page.
 *
 * Returns: 0, or the status of the refusal (400 or 414)
 */
int http_path_decode(HttpText target, char *out_path, bool *out_is_folder);

/** http_number_parse: plain decimal digits, at most 2^63 - 1, and nothing else. */
bool http_number_parse(HttpText text, uint64_t *out_number);

/** http_is_token_char: whether @c may stand in a method or a header's name (RFC 9110, 5.6.2). */
bool http_is_token_char(char c);

/** http_text_is: whether @text equals @expected, letters of either case. */
bool http_text_is(HttpText text, const char *expected);
