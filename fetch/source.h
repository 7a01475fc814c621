// SPDX-License-Identifier: Apache-2.0
/* Where images come from: one file per source below path_config()/sources.d, with the pinned keys beside it. */
#pragma once

#include "base/error.h"

typedef struct {
    char *name; /* [-A-Za-z0-9._]+: safe as a file name */
    char *uri;  /* of the clear-signed index, usually ".../index.asc" */
    char *
        repo_id; /* (nullable) as it was when the source was added: another repository by the same key is refused */
    char **pins;  /* full fingerprints; empty for an unsigned source and for one pinned by its roots */
    GBytes *keys; /* public keys of pins and roots; NULL for an unsigned source */
    char **roots; /* full fingerprints of root keys, which sign who may sign the index; empty for none */
    unsigned threshold; /* how many of @roots must agree; 0 without roots */
    bool is_unsigned;   /* the user said so: nothing is verified but what the index itself says */
} Source;

Source *source_new(const char *name, const char *uri);
void source_free(Source *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Source, source_free)

/** source_is_name: whether @name can name a source. */
bool source_is_name(const char *name);

/**
 * source_normal_uri: (transfer full) the URL of the index from what a user types: the URL or path of the folder, of
 * index.asc or of index. BASE_ERROR_USAGE for anything that cannot be one.
 */
char *source_normal_uri(const char *text, GError **error);

/** source_read: the stored source @name. BASE_ERROR_NOT_FOUND where there is none. */
Source *source_read(const char *name, GError **error);

/** source_write: store it, the keys before the file that names them. */
bool source_write(const Source *source, GError **error);

/** source_remove: forget it and its cached index. Images stay. BASE_ERROR_NOT_FOUND where there is none. */
bool source_remove(const char *name, GError **error);

/**
 * source_read_all: (element-type Source) every stored source by name.
 * @warnings: (element-type utf8): one per source that cannot be read; the others are not hidden by it
 */
GPtrArray *source_read_all(GPtrArray *warnings);
