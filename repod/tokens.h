// SPDX-License-Identifier: Apache-2.0
/*
 * Who may do what: the file of tokens as values; private to repod/. A token is a secret of 256 bits, of which the server
 * knows the SHA-256 alone, or a client's certificate. Pure, fuzzed.
 */
#pragma once

#include "base/digest.h"
#include "base/error.h"

#include <stdint.h>

#define TOKENS_MAX_BYTES (4u << 20)
#define TOKENS_MAX 10000u      /* of a file; a few hundred bytes each */
#define TOKEN_MAX_SCOPES 64u   /* of a token */
#define TOKEN_MAX_NOTE 200u    /* bytes */
#define TOKEN_ID_LENGTH 12u    /* [a-z2-7]: 60 random bits, only to tell tokens apart */
#define TOKEN_SECRET_LENGTH 43 /* base64url of 32 bytes */

/** AccessRights: flags; each includes the ones below it. */
typedef enum {
    ACCESS_NONE = 0,
    ACCESS_READ = 1,  /* get files of a private repository */
    ACCESS_PUSH = 3,  /* upload and publish */
    ACCESS_ADMIN = 7, /* and read what the server tells of itself */
} AccessRights;

/** access_rights_parse: "read", "push" or "admin"; else ACCESS_NONE. */
AccessRights access_rights_parse(const char *text);
const char *access_rights_print(AccessRights rights);

typedef struct {
    AccessRights rights;
    char *repository; /* its name in repod.conf, or "*" for all */
} TokenScope;

typedef struct {
    char id[TOKEN_ID_LENGTH + 1];
    bool is_certificate; /* else a secret */
    uint8_t digest[DIGEST_SHA256_BYTES];
    int64_t created, expires; /* unix seconds; @expires 0: never */
    uint64_t daily_bytes;     /* that it may upload in one day (UTC); 0: no limit */
    GPtrArray *scopes;        /* (element-type TokenScope) at least one */
    char *note;               /* one line, perhaps empty */
} Token;
Token *token_new(void);
void token_free(Token *token);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Token, token_free)

/** token_is_id: whether @text can be a token's id. */
bool token_is_id(const char *text);

/**
 * token_add_scope: "RIGHT:REPOSITORY" as in "push:fedora" or "read:*".
 * Errors: BASE_ERROR_USAGE
 */
bool token_add_scope(Token *token, const char *text, GError **error);

/** token_set_note: refused where it is no single line of printable UTF-8. Errors: BASE_ERROR_USAGE */
bool token_set_note(Token *token, const char *note, GError **error);

/** token_rights: what @token allows in @repository; NULL: what it allows in all of them. */
AccessRights token_rights(const Token *token, const char *repository);

/** token_print_secret: (transfer full) what the client keeps: "vdt_ID_SECRET" of @random bytes. */
char *token_print_secret(const char *id, const uint8_t random[32]);

/** token_print_id: an id of @random bytes. */
void token_print_id(const uint8_t random[8], char out_id[TOKEN_ID_LENGTH + 1]);

/**
 * tokens_parse: (transfer full) (element-type Token) one line each. A file with anything wrong in it is refused as a whole,
 * so that a mistake never gives more rights than were meant.
 */
GPtrArray *tokens_parse(const char *text, size_t size, const char *name, GError **error);

/** tokens_print: (transfer full) the file of @tokens. */
char *tokens_print(const GPtrArray *tokens);

/** tokens_find: (nullable) the token with that id. */
Token *tokens_find(const GPtrArray *tokens, const char *id);

/**
 * tokens_find_secret: (nullable) the token whose secret is @secret ("vdt_ID_SECRET"). The time it takes tells nothing but
 * whether there is a token with that id.
 */
const Token *tokens_find_secret(const GPtrArray *tokens, const char *secret, size_t length);

/** tokens_find_certificate: (nullable) the token of the certificate with that SHA-256, lower-case hex. */
const Token *tokens_find_certificate(const GPtrArray *tokens, const char *fingerprint);

/** token_parse_digest: 64 hex digits; colons between them are allowed, as openssl prints them. */
bool token_parse_digest(const char *hex, uint8_t out_digest[DIGEST_SHA256_BYTES]);
