// SPDX-License-Identifier: Apache-2.0
/* The answer to one request on its way out: the file that was opened, and how much has been sent; private to repod/. */
#pragma once

#include "repod/response.h"
#include "repod/transport.h"

#include <glib.h>

typedef struct {
    Response response;
    Fd file;        /* -1: none */
    GBytes *memory; /* the body instead of a file; NULL: none */
    size_t head_sent;
    uint64_t body_sent;
} Reply;

typedef enum { REPLY_MORE, REPLY_WANT_READ, REPLY_WANT_WRITE, REPLY_DONE, REPLY_FAILED } ReplyProgress;

/** reply_begin_file: answer a GET or HEAD with @path beneath the folder @root_fd. */
void reply_begin_file(Reply *reply, const HttpRequest *request, int root_fd, const char *path,
                      bool should_close);

/** reply_begin_bytes: @head->length is that of @body. */
void reply_begin_bytes(Reply *reply, const ResponseHead *head, GBytes *body);

/** reply_begin_refusal: a short text that says @status. */
void reply_begin_refusal(Reply *reply, const HttpRequest *request, int status, bool should_close);

/** reply_begin_status: the same to nobody knows what, and close. */
void reply_begin_status(Reply *reply, int status);

/** reply_send: one system call's worth: some of the head, or up to 1 MiB of the body. */
ReplyProgress reply_send(Reply *reply, Transport *transport);

/** reply_clear: close the file. */
void reply_clear(Reply *reply);
