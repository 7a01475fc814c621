// SPDX-License-Identifier: Apache-2.0
/* What is found out about a request on the way, for the log and the metrics; private to repod/. */
#pragma once

#include "repod/http_parse.h"
#include "repod/shelf.h"

#define REQUEST_NOTE_TOKEN_MAX 32

typedef struct {
    HttpMethod method;
    const char *site;                       /* the repository's name, of the request's Runtime; NULL: none */
    char token[REQUEST_NOTE_TOKEN_MAX + 1]; /* the id of the token that was accepted; "" for none */
    ShelfCount *count; /* of the blob that is sent, of the request's Runtime; NULL: none */
} RequestNote;
