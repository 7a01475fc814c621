// SPDX-License-Identifier: Apache-2.0
/* Where the body of a request ends (RFC 9112, 6 and 7); private to repod/. Pure, without allocation, fuzzed. */
#pragma once

#include "repod/http_parse.h"

typedef enum {
    BODY_LENGTH,     /* counting down to the stated length */
    BODY_CHUNK_SIZE, /* in the line with a chunk's size */
    BODY_CHUNK_DATA,
    BODY_CHUNK_END, /* in the CR LF after a chunk */
    BODY_TRAILER,   /* in the lines after the last chunk */
    BODY_OVER,
} HttpBodyState;

typedef struct {
    HttpBodyState state;
    uint64_t left;      /* bytes of the body or of the chunk */
    uint64_t total;     /* bytes of content so far */
    unsigned line_size; /* bytes of the present line or of all trailers */
    unsigned n_digits;  /* of the chunk's size, or bytes of a trailer's name */
    bool has_extension;
    bool has_colon; /* the trailer's name is over */
    bool has_cr;
} HttpBody;

typedef enum {
    BODY_MORE, /* more input is needed; @out_used is all that was given */
    BODY_DATA, /* @out_piece holds content; call again with the rest */
    BODY_DONE, /* the body is complete; what follows @out_used is the next request */
    BODY_BAD,  /* answer 400 and close */
} HttpBodyVerdict;

void http_body_init(HttpBody *body, const HttpRequest *request);

/**
 * http_body_read: look at the next @size bytes of the connection.
 * @out_used: how many of them belong to this body
 * @out_piece: for BODY_DATA: content, pointing into @data
 */
HttpBodyVerdict http_body_read(HttpBody *body, const char *data, size_t size, size_t *out_used,
                               HttpText *out_piece);
