// SPDX-License-Identifier: Apache-2.0
/*
 * The one error domain that every folder shares. Its codes are exactly what a caller far away branches on:
 * the exit status (DESIGN: 0 done, 1 failed, 2 wrong usage, 3 not trusted) and "is it there already / at
 * all". A folder adds a domain of its own only when a caller branches on something that no code here says.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define BASE_ERROR base_error_quark()
GQuark base_error_quark(void);

typedef enum {
    BASE_ERROR_FAILED,    /* exit 1 */
    BASE_ERROR_USAGE,     /* exit 2: the command line or a configuration file asks for something impossible */
    BASE_ERROR_UNTRUSTED, /* exit 3: a signature, digest or pin says no */
    BASE_ERROR_NOT_FOUND, /* exit 1 */
    BASE_ERROR_EXISTS,    /* exit 1 */
    BASE_ERROR_UNAVAILABLE, /* exit 1: a server could not be reached or answered with a transient failure */
    BASE_ERROR_INTERRUPTED, /* Ctrl-C or SIGTERM: undo, then die of the signal */
} BaseError;

/**
 * error_set: set a BASE_ERROR_FAILED error.
 * @error: (nullable)
 * @format: "thing: what failed and why"; lower case, no full stop
 *
 * Returns: false always, so that `return error_set(...)` reads well
 */
bool error_set(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** error_set_code: the same with another BaseError code. */
bool error_set_code(GError **error, BaseError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * error_set_errno: "<formatted>: <text of the current errno>". ENOENT becomes NOT_FOUND, EEXIST becomes
 * EXISTS. Reads errno before anything else, so call it at once after the failing call.
 */
bool error_set_errno(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
