// SPDX-License-Identifier: Apache-2.0
/*
 * What a pushed index has to satisfy before a repository switches to it; private to repod/. The server holds no secret key: it
 * believes the signature of a pinned key, or of one that the repository's root keys name.
 */
#pragma once

#include "repod/config.h"

#include <glib.h>

typedef struct {
    int status;       /* of the answer: 200, or why nothing has changed */
    char *text;       /* one line for the client */
    uint64_t version; /* that is published now, or was asked for; 0: not known */
    bool is_internal; /* @text is for the log: the client gets a general one */
} PushResult;
void push_result_clear(PushResult *result);

/**
 * push_apply: publish @message (store_texts_print()) in @site's folder, if it is good and nothing has been published since.
 * May block.
 * @etag: (nullable) what the current index has to be; NULL: there must not be one yet
 */
void push_apply(const ConfigSite *site, GBytes *message, const char *etag, PushResult *out_result);
