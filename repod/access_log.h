// SPDX-License-Identifier: Apache-2.0
/* One line of text for every request; private to repod/. Each worker has a buffer of its own: no lock. */
#pragma once

#include "repod/http_parse.h"
#include "repod/peer.h"

/* What is known of a request when its answer has ended. */
typedef struct {
    const Peer *peer;
    const char *request; /* "GET /index.asc" as sent; any bytes; NULL for none */
    int status;
    uint64_t body_bytes; /* of files; short texts count as none */
    int64_t duration_us;
    int64_t now_us; /* since 1970 */
} AccessEntry;

typedef struct AccessLog AccessLog;

/** access_log_new: @fd is borrowed and shared by all workers; opened for appending. */
AccessLog *access_log_new(int fd);

/** access_log_free: flushes. */
void access_log_free(AccessLog *log);

/** access_log_add: format into the buffer. */
void access_log_add(AccessLog *log, const AccessEntry *entry);

/**
 * access_log_flush: write what is buffered with one call, so that lines of several workers do not mix. What
 * cannot be written is lost: a full disk must not stop the service.
 */
void access_log_flush(AccessLog *log);

/** access_log_format: append "TIME PEER METHOD TARGET STATUS BYTES MICROSECONDS\n"; what is no visible ASCII
 * becomes \xNN, so that no client can forge a line. */
void access_log_format(GString *out, const AccessEntry *entry);
