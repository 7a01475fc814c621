// SPDX-License-Identifier: Apache-2.0
/*
 * Who asks, and may they: tokens, client certificates and waits after wrong ones; private to repod/. The file of tokens is
 * read again when it changes. Any thread may call; requests without a credential take no lock.
 */
#pragma once

#include "repod/backoff.h"
#include "repod/http_parse.h"
#include "repod/reply.h"
#include "repod/tokens.h"

typedef struct Access Access;

Access *access_new(void);
void access_free(Access *access);

/** AccessGrant: what the credential of a request allows. */
typedef struct {
    char token[TOKEN_ID_LENGTH + 1]; /* "": none that is known */
    AccessRights rights;
    uint64_t daily_bytes; /* of uploads; 0: no limit */
} AccessGrant;

/** AccessAsk: the facts that count. Borrowed. */
typedef struct {
    const char *state_dir;   /* with the file "tokens"; NULL: there are none */
    const char *repository;  /* its name; NULL: of the server as a whole */
    const char *certificate; /* SHA-256 that TLS has verified; NULL: none */
    HttpText authorization;
    const Peer *peer;
    bool is_tls;
    bool has_insecure_tokens; /* may come in the clear from anywhere */
} AccessAsk;

/**
 * access_find: whose credential this is. One in the clear from another host counts as exposed.
 * @out_wait: seconds, for 429
 * Returns: 0, also where there is none; 401: it is wrong; 403: it must not be sent in the clear; 429: wait first
 */
int access_find(Access *access, const AccessAsk *ask, AccessGrant *out_grant, unsigned *out_wait);

/**
 * access_judge: whether a repository answers; pure.
 * @found: what access_find() returned
 * Returns: 0, or 401, 403, 404 (which says nothing of what is there) or 429
 */
int access_judge(bool is_public, bool is_write, int found, const AccessGrant *grant);

/** access_refuse: the answer for such a status. */
void access_refuse(Reply *reply, const HttpRequest *request, int status, unsigned wait, bool should_close);
