// SPDX-License-Identifier: Apache-2.0
/* The answer to one request on its way out: the file that was opened, and how much has been sent; private to repod/. */
#pragma once

#include "base/fd.h"
#include "repod/response.h"

typedef struct {
    Response response;
    Fd file; /* -1: none */
    size_t head_sent;
    uint64_t body_sent;
} Reply;

typedef enum { REPLY_MORE, REPLY_BLOCKED, REPLY_DONE, REPLY_FAILED } ReplyProgress;

/** reply_begin: answer @request, which may be one that the parser refused, from the folder @root_fd. */
void reply_begin(Reply *reply, const HttpRequest *request, int root_fd, bool should_close);

/** reply_begin_status: answer with @status and close, whatever was asked. */
void reply_begin_status(Reply *reply, int status);

/** reply_send: one system call's worth: some of the head, or up to 1 MiB of the file. */
ReplyProgress reply_send(Reply *reply, int socket_fd);

/** reply_clear: close the file. */
void reply_clear(Reply *reply);
