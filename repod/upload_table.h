// SPDX-License-Identifier: Apache-2.0
/*
 * Uploads that go on, or were interrupted a short while ago; private to repod/. Each belongs to one session at a time: a
 * connection that is sending it. What a session knows of its upload is used under upload_table_enter() alone, since another
 * one may take over when its client has been silent. Any thread may call; nothing blocks but freeing files.
 */
#pragma once

#include "base/digest.h"
#include "store/store.h"

#include <sys/types.h>

#define UPLOADS_MAX 64u      /* at once, over all repositories */
#define UPLOADS_MAX_IDLE 64u /* remembered, so that going on need not read them again */
#define UPLOAD_SILENT_US ((int64_t)5 * G_USEC_PER_SEC) /* after this another session may take over */

/** Upload: a blob in the making. */
typedef struct {
    char *dir;        /* of the repository */
    StoreUpload part; /* open while a session has it */
    Digest *digest;   /* of the first @offset bytes; NULL: not known */
    uint64_t offset;  /* bytes in the part */
    uint64_t total;   /* of the whole; 0: not known */
    ino_t inode;      /* of the part that @digest is of */

    /* These are the table's own. */
    uint64_t session; /* 0: nobody's */
    bool is_entered;
    uint64_t missing; /* when it was left the last time */
    int64_t used_us;
} Upload;

typedef struct UploadTable UploadTable;

UploadTable *upload_table_new(void);
void upload_table_free(UploadTable *table);

typedef enum { UPLOAD_TAKEN, UPLOAD_BUSY, UPLOAD_TOO_MANY } UploadTaking;

/**
 * upload_table_take: a session of the upload of @sha512 to the repository @dir.
 * @out_key: (transfer full) with @out_session what the other functions take
 */
UploadTaking upload_table_take(UploadTable *table, const char *dir, const char *sha512, char **out_key,
                               uint64_t *out_session);

/** upload_table_enter: (nullable) the upload, until upload_table_leave(). NULL: another session has taken it over. */
Upload *upload_table_enter(UploadTable *table, const char *key, uint64_t session);

/** upload_table_leave: @is_over: forget the upload and its session; its part must be closed. */
void upload_table_leave(UploadTable *table, const char *key, bool is_over);

/** upload_table_end: the session is over, the upload may go on in another. Nothing, where it was taken over. */
void upload_table_end(UploadTable *table, const char *key, uint64_t session);

/** upload_table_missing: bytes that the running uploads to @dir are still to get. */
uint64_t upload_table_missing(UploadTable *table, const char *dir);
