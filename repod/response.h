// SPDX-License-Identifier: Apache-2.0
/* Decides the answer to a request; private to repod/. Pure: a request and facts in, a head and a window out.
 */
#pragma once

#include "repod/http_parse.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/* The longest head is about 700 bytes: nothing of unknown length goes into it. */
#define RESPONSE_HEAD_MAX 1536
#define RESPONSE_FIELDS_MAX 1024

#define RESPONSE_ETAG_MAX 160
#define RESPONSE_DIGEST_MAX 112

/** FileFacts: from fstat() of the very descriptor that is sent, so that head and body are of one file. */
typedef struct {
    uint64_t size;
    int64_t mtime_seconds;
    bool is_blob;
    bool is_private; /* not for everybody, so no shared cache may keep it; false until its owner says so */
    const char *content_type;
    char etag[RESPONSE_ETAG_MAX];
    char digest[RESPONSE_DIGEST_MAX]; /* for Repr-Digest; "": it is not known */
    char last_modified[30];
} FileFacts;

/** response_file_facts: @path: of the file within its repository. */
void response_file_facts(const char *path, const struct stat *status, FileFacts *out_facts);

typedef struct {
    int status;
    bool should_close;
    uint64_t offset; /* the window of the file to send after the head; length 0 for none */
    uint64_t length;
    size_t head_length;
    char head[RESPONSE_HEAD_MAX]; /* for everything but a file, its short text follows within */
} Response;

/** response_file: 200, 206, 304, 412 or 416 for a complete request whose file is open. @now: for Date. */
void response_file(const HttpRequest *request, const FileFacts *facts, time_t now, bool should_close,
                   Response *out);

/** response_status: a short text for any other status. A HEAD gets the head alone. */
void response_status(const HttpRequest *request, int status, time_t now, bool should_close, Response *out);

/** ResponseHead: any other answer. Borrowed; every text is the server's own or was checked to hold no control byte. */
typedef struct {
    int status;
    const char *content_type;
    const char *cache_control; /* NULL: no-store */
    const char *fields; /* more fields, each with its CR LF, at most RESPONSE_FIELDS_MAX bytes; NULL: none */
    uint64_t length;    /* of the body */
    bool is_head;       /* answers a HEAD: the length without the body */
    bool should_close;
} ResponseHead;

/** response_head: the body follows from elsewhere: @out->length bytes from 0. */
void response_head(const ResponseHead *head, time_t now, Response *out);

/** response_is_listed: RFC 9110, 13.1.2: whether @etag is in @list, compared weakly, or @list is "*". */
bool response_is_listed(HttpText list, const char *etag);

/** response_format_date: RFC 9110, 5.6.7: "Sun, 22 Nov 2026 19:00:00 GMT" into 30 bytes. */
void response_format_date(time_t when, char out_text[30]);
