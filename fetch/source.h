// SPDX-License-Identifier: Apache-2.0
/*
 * Where images come from: one file per source below path_config()/sources.d, with the pinned keys beside it; and, as a
 * fallback, what virt-builder's own configuration names (reposd.h).
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

typedef enum {
    SOURCE_NATIVE,  /* an index text of virt-builder or virt-depot */
    SOURCE_STREAMS, /* simplestreams: streams/v1/index.sjson or .json */
} SourceFormat;

#define SOURCE_MAX_PRIORITY 1000000     /* and the lowest is the negative of it */
#define SOURCE_PRIORITY 50              /* the default; of sources that only virt-builder knows: */
#define SOURCE_FALLBACK_PRIORITY 10     /* so that an image of one's own sources comes first */
#define SOURCE_MAX_AGE (30 * 24 * 3600) /* seconds, a month: "--offline" is for longer */
#define SOURCE_DEFAULT_AGE 60u

typedef struct {
    char *name; /* [-A-Za-z0-9._]+: safe as a file name */
    char *file; /* the configuration file that says all this */
    /* SOURCE_NATIVE: of the clear-signed index, usually ".../index.asc"; SOURCE_STREAMS: of the folder that holds
     * streams/, with a '/' at the end; "" where @is_enabled is false and nobody said. */
    char *uri;
    SourceFormat format;
    bool is_enabled;  /* false: listed and otherwise left alone */
    bool is_fallback; /* out of virt-builder's configuration: read-only, and given up quickly */
    int priority;     /* the highest wins, whatever the revisions */
    int max_age;      /* seconds; -1: not said */
    char **mirrors;   /* further URIs of the same repository, like @uri, for when that fails or is behind */
    char *proxy;      /* (nullable) a URL, "no", or NULL for what the environment says */
    char *ca;         /* (nullable) absolute path of a PEM file: the only authorities for https */
    char *client_cert,
        *client_key; /* (nullable) absolute paths of PEM files: who this host is over TLS; both or none */
    /* (nullable) where it is, never itself: an absolute path, or "@NAME" of a systemd credential */
    char *credential;
    /* (nullable) as it was when the source was added: another repository by the same key is refused */
    char *repo_id;
    char **pins;  /* full fingerprints; empty for an unsigned source and for one pinned by its roots */
    GBytes *keys; /* public keys of pins and roots; NULL for an unsigned source */
    char **roots; /* full fingerprints of root keys, which sign who may sign the index; empty for none */
    unsigned threshold;    /* how many of @roots must agree; 0 without roots */
    int64_t trusted_until; /* not stored: expiry of the trust that @pins come from; 0: @pins were given */
    bool is_strict;        /* decode nothing before the digest of the whole file is known to be right */
    bool is_unsigned;      /* the user said so: nothing is verified but what the index itself says */
} Source;

Source *source_new(const char *name, const char *uri);
void source_free(Source *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Source, source_free)

/** source_at: @source as it is at @uri, its own or a mirror; all borrowed. Another origin is told no secret of it. */
Source source_at(const Source *source, char *uri);

/** source_is_name: whether @name can name a source. */
bool source_is_name(const char *name);

/** source_max_age: for how many seconds its index is listed without asking whether there is a newer one: what the
 * source says, else VIRT_DEPOT_MAX_AGE, else SOURCE_DEFAULT_AGE. */
unsigned source_max_age(const Source *source);

/** source_format_name, source_format_parse: "native", "simplestreams"; BASE_ERROR_USAGE for any other. */
const char *source_format_name(SourceFormat format);
bool source_format_parse(const char *text, SourceFormat *out_format, GError **error);

/**
 * source_normal_uri: (transfer full) Source.uri from what a user types: the URL or path of the folder, of index.asc,
 * of index, or of a streams/v1/index.json. BASE_ERROR_USAGE for anything that cannot be one.
 */
char *source_normal_uri(const char *text, SourceFormat format, GError **error);

/** source_check_access: proxy, ca and credential are what the struct says they are. BASE_ERROR_USAGE if not. */
bool source_check_access(const Source *source, GError **error);

/** source_is_stored: whether there is a file of our own for @name. */
bool source_is_stored(const char *name);

/** source_read: the source @name, our own before virt-builder's. BASE_ERROR_NOT_FOUND where there is none. */
Source *source_read(const char *name, GError **error);

/** source_write: store it, the keys before the file that names them. */
bool source_write(const Source *source, GError **error);

/** source_remove: forget it and its cached index. Images stay. BASE_ERROR_NOT_FOUND where there is none of our own. */
bool source_remove(const char *name, GError **error);

/**
 * source_read_all: (element-type Source) every source: ours by name, then those of virt-builder's configuration that
 * have other names.
 * @warnings: (element-type utf8): one per source that cannot be read; the others are not hidden by it
 */
GPtrArray *source_read_all(GPtrArray *warnings);
