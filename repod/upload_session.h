// SPDX-License-Identifier: Apache-2.0
/* One request of an upload, between upload.c (the connection's side) and upload_work.c (the pool's); private to those two. */
#pragma once

#include "repod/upload.h"
#include "repod/upload_table.h"

#define UPLOAD_PIECE ((size_t)256 * 1024) /* for one turn of the pool: a millisecond */
#define UPLOAD_HEX 128

typedef struct {
    Runtime *runtime;
    const Site *site; /* of @runtime */
    Shared *shared;
    AccessGrant grant;
    Peer peer;
    HttpMethod method;
    bool should_close, has_body;
    UploadPlan plan;
    char sha512[UPLOAD_HEX + 1];

    char *key; /* with @session: of the upload in the table; NULL: none, or over */
    uint64_t session;
    uint64_t room;     /* bytes that may be received */
    uint64_t received; /* in this request */
    char *piece;       /* UPLOAD_PIECE bytes; NULL until there is a body */
    size_t piece_size;
    bool is_prepared, is_complete;

    int status; /* of the answer; 0: go on */
    const char *text;
    bool has_part; /* the answer tells how much is there */
    uint64_t part_size;
} UploadSession;

/** upload_fail: remember the answer. Returns: false */
bool upload_fail(UploadSession *session, int status, const char *text);

/** upload_hit: upload_fail() for a limit, which is counted. */
bool upload_hit(UploadSession *session, Count limit, int status, const char *text);

/** upload_work: what comes next: look, write a piece, finish, or give up. May block. */
void upload_work(void *self);
