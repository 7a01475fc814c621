// SPDX-License-Identifier: Apache-2.0
/* A source's index as bytes, from its server or from the cache. Nobody may look inside: door.h is the way on. */
#pragma once

#include "fetch/source.h"

typedef struct {
    GBytes *text;      /* the index: clear-signed where @signature is NULL and the source is a signed one */
    GBytes *signature; /* the detached one, or NULL */
    char *text_etag, *signature_etag;
} Texts;
void texts_clear(Texts *texts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Texts, texts_clear)

typedef enum {
    TEXTS_DETACHED, /* index and index.sig: what a virt-depot repository has */
    TEXTS_CLEAR,    /* index.asc: what every repository has */
    TEXTS_PLAIN,    /* index alone: for unsigned sources */
} TextsKind;

/**
 * texts_fetch: from the server.
 * @known: (nullable) texts that are here already: what has not changed since is not transferred again
 * Errors: as net_get(); BASE_ERROR_NOT_FOUND where the server has none of this kind
 */
bool texts_fetch(const Source *source, TextsKind kind, const Texts *known, Texts *out_texts, GError **error);

/**
 * texts_fetch_file: another small file of the source.
 * @etag: (nullable) of the one that is known: *out_body is NULL where it has not changed since
 * @out_etag: (nullable)
 * Errors: as net_get()
 */
bool texts_fetch_file(const Source *source, const char *leaf, size_t max_bytes, const char *etag,
                      GBytes **out_body, char **out_etag, GError **error);

/** texts_load: the last good ones. BASE_ERROR_NOT_FOUND where there are none of this source's URL. */
bool texts_load(const Source *source, Texts *out_texts, GError **error);

/** texts_store: remember them; only what door_open() has let through. */
bool texts_store(const Source *source, const Texts *texts, GError **error);

/** texts_confirmed_at: when texts_store() was called for this source last, in unix seconds; 0 for never. */
int64_t texts_confirmed_at(const Source *source);
