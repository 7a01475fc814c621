// SPDX-License-Identifier: Apache-2.0
/*
 * repod.conf as values: what one file says, checked and complete; private to repod/. Parsing is pure. A Config never changes: a
 * reload makes a new one, and requests that began under the old one end under it.
 */
#pragma once

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

#define CONFIG_MAX_BYTES (1u << 20)
#define CONFIG_MAX_SITES 1000u
#define CONFIG_MAX_LISTEN 64u

/** ConfigListen: where to accept connections. */
typedef struct {
    char *address; /* "ADDRESS:PORT", "[ADDRESS]:PORT" or "unix:PATH" */
    bool is_tls;
} ConfigListen;

/** ConfigSite: one repository. */
typedef struct {
    char *name;          /* of its section; [-A-Za-z0-9._]+ */
    char *dir;           /* the folder, absolute */
    char *host;          /* only for requests to this host name, lower case; NULL: any */
    char *prefix;        /* of the path, "images/" without the first slash; "" for all */
    bool is_public;      /* readable without a token */
    bool may_push;       /* uploads with a token of scope push */
    uint64_t quota;      /* bytes of all blobs and uploads; 0: none */
    uint64_t max_upload; /* bytes of one file */
    char **fingerprints; /* of the keys that may sign its index, normal; NULL: what its own notes say */
    char *url;           /* that clients use, ending in a slash; NULL: what they asked for */
} ConfigSite;

typedef struct {
    atomic_uint n_users;
    GPtrArray *listen; /* (element-type ConfigListen) */
    GPtrArray
        *sites; /* (element-type ConfigSite) longest prefix first, those with a host before those without */
    char *tls_certificate, *tls_key; /* PEM files; NULL without a TLS listener */
    char *tls_client_ca;             /* PEM file: ask clients for certificates; NULL: no */
    char *user;                      /* to become after binding; NULL: stay */
    char *state_dir;                 /* tokens and what they uploaded today; NULL: there are none */
    char *access_log;                /* "-" for stdout; NULL: none */
    bool is_log_json;
    bool has_insecure_tokens; /* may come in the clear from other hosts */
    bool is_metrics_public;   /* else for this host and admin tokens alone */
    char *audit_log;          /* "-" for stdout; NULL: stderr */
    unsigned socket_mode;     /* of Unix sockets */
    unsigned threads;
    unsigned max_connections, max_client_connections;
    unsigned head_timeout_ms, idle_timeout_ms, body_timeout_ms, write_timeout_ms, tls_timeout_ms,
        request_timeout_ms, stop_timeout_ms;
    uint64_t min_body_rate;                 /* bytes per second */
    unsigned client_requests, client_burst; /* per second; 0: no limit */
    uint64_t client_bytes;                  /* per second; 0: no limit */
} Config;

/**
 * config_parse: a key file: [server] and one [repository NAME] each. Unknown sections and keys, and values out of range are
 * errors that name the line's section and key.
 * Errors: BASE_ERROR_USAGE
 */
Config *config_parse(const char *text, size_t size, const char *name, GError **error);

/** config_add_listen: while it is being made: one more address. */
void config_add_listen(Config *config, const char *address, bool is_tls);

/** config_new_simple: what the command line without a file means: one public repository at "/". */
Config *config_new_simple(const char *dir);

Config *config_ref(Config *config);
void config_unref(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_unref)

/**
 * config_find_site: (nullable) the repository that @path ("images/index.asc") on @host (as sent, perhaps with a port) is in.
 * @out_rest: the path within it, pointing into @path. Pure.
 */
const ConfigSite *config_find_site(const Config *config, const char *host, size_t host_length,
                                   const char *path, const char **out_rest);
