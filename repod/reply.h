// SPDX-License-Identifier: Apache-2.0
/* The answer to one request on its way out: the file that was opened, and how much has been sent; private to repod/. */
#pragma once

#include "repod/file_cache.h"
#include "repod/response.h"
#include "repod/transport.h"

#include <glib.h>

typedef struct {
    Response response;
    OpenFile *file;       /* NULL: none */
    bool is_out_of_files; /* the answer is 503 because of it */
    GBytes *memory;       /* the body instead of a file; NULL: none */
    GBytes *rest;         /* what follows @memory; NULL: nothing */
    size_t head_sent;
    uint64_t body_sent;
    uint64_t warm_until;   /* reply_warm() read the body up to here */
    uint64_t looked_until; /* in this turn of the loop the body was found in memory up to here */
} Reply;

/* The most that one call sends. */
#define REPLY_MAX_WINDOW (1024 * 1024)

typedef enum {
    REPLY_MORE,
    REPLY_WANT_READ,
    REPLY_WANT_WRITE,
    REPLY_COLD, /* the next part of the file is not in memory: reply_warm() first */
    REPLY_DONE,
    REPLY_FAILED,
} ReplyProgress;

/** reply_begin_file: answer a GET or HEAD with @path of @site, which @files keeps open. */
void reply_begin_file(Reply *reply, const HttpRequest *request, FileCache *files, const Site *site,
                      const char *path, bool should_close);

/** reply_begin_parts: @head->length is that of @body and @rest, of which (nullable) many replies can be sending the same one. */
void reply_begin_parts(Reply *reply, const ResponseHead *head, GBytes *body, GBytes *rest);

/** reply_begin_bytes: the same without a rest. */
void reply_begin_bytes(Reply *reply, const ResponseHead *head, GBytes *body);

/** reply_begin_refusal: a short text that says @status. */
void reply_begin_refusal(Reply *reply, const HttpRequest *request, int status, bool should_close);

/** reply_begin_status: the same to nobody knows what, and close. */
void reply_begin_status(Reply *reply, int status);

/** reply_begin_later: 429: ask again after so many seconds. */
void reply_begin_later(Reply *reply, const HttpRequest *request, unsigned seconds, bool should_close);

/** reply_begin_turn: others had their turn, and may have pushed out of memory what was there. */
static inline void
reply_begin_turn(Reply *reply)
{
    reply->looked_until = 0;
}

/** reply_send: one system call's worth: some of the head, or up to @window bytes of the body. */
ReplyProgress reply_send(Reply *reply, Transport *transport, size_t window);

/** reply_warm: after REPLY_COLD: wait for the disk; on another thread. */
void reply_warm(Reply *reply);

/** reply_clear: let go of the body. */
void reply_clear(Reply *reply);
