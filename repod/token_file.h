// SPDX-License-Identifier: Apache-2.0
/* The file of tokens where the server's state is, for the verbs; private to repod/. */
#pragma once

#include "base/fd.h"
#include "repod/tokens.h"

typedef struct {
    char *path;
    Fd lock;           /* -1: only to look */
    GPtrArray *tokens; /* (element-type Token) */
} TokenFile;
void token_file_clear(TokenFile *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TokenFile, token_file_clear)

/**
 * token_file_open: the tokens of the server whose state is in @state_dir; empty where there is no file yet.
 * @is_writer: keep others from writing until token_file_clear(); root becomes the folder's owner from here on, so that the
 * server can read what is written
 */
bool token_file_open(const char *state_dir, bool is_writer, TokenFile *out_file, GError **error);

/** token_file_write: a running server sees it within a second. */
bool token_file_write(const TokenFile *file, GError **error);
