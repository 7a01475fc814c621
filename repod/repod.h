// SPDX-License-Identifier: Apache-2.0
/* The repository daemon: serves one folder read-only over HTTP/1.1 until a signal stops it. */
#pragma once

#include "base/cli.h"

#include <stdint.h>

extern const Verb REPOD_VERB_TOKEN_CREATE;
extern const Verb REPOD_VERB_TOKEN_LIST;
extern const Verb REPOD_VERB_TOKEN_REVOKE;

/** Where nothing else is said. */
#define REPOD_DEFAULT_LISTEN "127.0.0.1:8080"

/**
 * RepodOptions: all texts are borrowed for the server's life. Zero and NULL mean what the
 * configuration says, and its defaults.
 */
typedef struct {
    const char *root;          /* the folder that is served, publicly, where there is no @config */
    const char *config;        /* repod.conf; or NULL */
    const char *const *listen; /* NULL-ended "ADDRESS:PORT", port 0 for any free one; NULL: the default */
    const char
        *port_file; /* gets one bound port a line, in the order of @listen; removed in the end; or NULL */
    const char *access_log;   /* a file to append to, "-" for stdout; NULL: no log */
    unsigned threads;         /* default: one a CPU */
    unsigned max_connections; /* default: 10,000, or what the limit of open files allows */
    unsigned head_timeout_ms; /* for a whole request head; default 15 s */
    unsigned idle_timeout_ms; /* between two requests on a connection; default 60 s */
    unsigned body_timeout_ms; /* without any byte of a request's body; default 30 s */
    unsigned request_timeout_ms;
    unsigned tls_timeout_ms;
    unsigned write_timeout_ms; /* without any byte taken by the client; default 60 s */
    unsigned stop_timeout_ms;  /* for running responses after the first signal; default 30 s */
    /** report: (nullable) what an operator should know while it runs; from any thread. */
    void (*report)(const char *message);
} RepodOptions;

typedef struct RepodServer RepodServer;

/**
 * repod_new: open the folder, listen on every address and write the port file: clients can connect when this
 * returns. From here on SIGTERM, SIGINT and SIGHUP are blocked and SIGPIPE is ignored in this process.
 *
 * Errors: BASE_ERROR_USAGE for an address that cannot be read
 */
RepodServer *repod_new(const RepodOptions *options, GError **error);
void repod_free(RepodServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RepodServer, repod_free)

/** repod_check: whether repod_new() would find all that it needs, but for the sockets. Opens and makes nothing for good. */
bool repod_check(const RepodOptions *options, GError **error);

/** repod_uris: "http://127.0.0.1:8080" of every address, separated by a space; borrowed. */
const char *repod_uris(const RepodServer *server);

/**
 * repod_run: serve until SIGTERM or SIGINT. SIGHUP reads the configuration again. The first of the others stops gracefully: no new connections, idle ones closed,
 * running responses finished. The second stops at once.
 * Returns: true after a stop that cut no response
 */
bool repod_run(RepodServer *server, GError **error);
