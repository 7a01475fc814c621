// SPDX-License-Identifier: Apache-2.0
/* One line of text for every request; private to repod/. Each worker has a buffer of its own: no lock. */
#pragma once

#include "repod/request_note.h"

#define ACCESS_MAX_AGENT 200u

/** AccessText: what the log needs of a request head, which is gone when its answer has ended. One g_malloc(). */
typedef struct {
    HttpText method, target; /* as sent; any bytes */
    HttpText agent;          /* cut to ACCESS_MAX_AGENT */
    char bytes[];
} AccessText;

/** access_text_new: (transfer full) a copy. */
AccessText *access_text_new(const HttpRequest *request);

/* What is known of a request when its answer has ended. */
typedef struct {
    const char *peer;       /* peer_print() */
    const AccessText *text; /* NULL: it could not be read */
    const RequestNote *note;
    int status;
    uint64_t body_bytes; /* of files; short texts count as none */
    int64_t duration_us;
    int64_t now_us; /* since 1970 */
} AccessEntry;

typedef struct AccessLog AccessLog;

/** access_log_new: @fd is borrowed and shared by all workers; opened for appending. @is_json: JSON instead of text. */
AccessLog *access_log_new(int fd, bool is_json);

/** access_log_free: flushes. */
void access_log_free(AccessLog *log);

/** access_log_add: format into the buffer, which is written when it is full or access_log_flush() says so. */
void access_log_add(AccessLog *log, const AccessEntry *entry);

/** ACCESS_LOG_DELAY_MS: how long its owner may wait with access_log_flush(). */
#define ACCESS_LOG_DELAY_MS 200

bool access_log_is_empty(const AccessLog *log);

/**
 * access_log_flush: write what is buffered with one call, so that lines of several workers do not mix. What
 * cannot be written is lost: a full disk must not stop the service.
 */
void access_log_flush(AccessLog *log);

/** access_log_format: append "TIME PEER METHOD TARGET STATUS BYTES MICROSECONDS\n"; what is no visible ASCII
 * becomes \xNN, so that no client can forge a line. */
void access_log_format(GString *out, const AccessEntry *entry);

/** access_log_format_json: append one line with a JSON object: the same, and "repository", "token" and "agent" where there
 * are any. A byte that is no visible ASCII becomes \u00NN: the object is valid JSON whatever the client sent. */
void access_log_format_json(GString *out, const AccessEntry *entry);
