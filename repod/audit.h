// SPDX-License-Identifier: Apache-2.0
/* One line of JSON for every change of a repository, and for every one that was refused; private to repod/. */
#pragma once

#include "repod/peer.h"

/** AuditEntry: who did what. Borrowed; NULL and 0: not said. */
typedef struct {
    const char *token; /* its id */
    const Peer *peer;
    const char *repository;
    const char *action; /* "upload", "cancel", "publish" */
    const char *digest; /* sha512 of what was uploaded */
    uint64_t bytes;
    uint64_t version;   /* of what was published */
    const char *result; /* "done", or why not */
} AuditEntry;

/** audit_write: with one write to @fd, which is open for appending, so that lines do not mix. A line that cannot be written
 * goes to stderr: the change has been made. */
void audit_write(int fd, const AuditEntry *entry);

/** audit_format: (transfer full) the line of @entry at @now (unix microseconds). Pure. */
char *audit_format(const AuditEntry *entry, int64_t now_us);
