// SPDX-License-Identifier: Apache-2.0
/* What a check found: one line each, for people as "PATH:LINE: message" and for scripts as JSON. */
#pragma once

#include "base/json.h"

typedef enum {
    FINDING_WARNING, /* other clients stumble over it */
    FINDING_ERROR,   /* it is wrong */
} FindingSeverity;

typedef struct {
    char *path;
    unsigned line; /* from 1; 0: the whole file */
    FindingSeverity severity;
    char *message;
} Finding;
void finding_free(Finding *finding);

/** finding_list_new: (transfer full) (element-type Finding). */
GPtrArray *finding_list_new(void);

void finding_add(GPtrArray *findings, FindingSeverity severity, const char *path, unsigned line,
                 const char *format, ...) G_GNUC_PRINTF(5, 6);

/** finding_count: how many are at least as bad as @severity. */
guint finding_count(const GPtrArray *findings, FindingSeverity severity);

/** finding_print_list: on stdout, one a line, safe for a terminal: "PATH:LINE: message" or "PATH: message";
 * a warning's message starts with "warning: ". */
void finding_print_list(const GPtrArray *findings);

/** finding_list_json: (transfer full) an array of {path, line (null for the whole file), severity, message}. */
Json *finding_list_json(const GPtrArray *findings);
