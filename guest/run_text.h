// SPDX-License-Identifier: Apache-2.0
/* What is said to the guest's shell to run a script, and what is repeated of its answer. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define RUN_MAX_LINES 6u /* of a program's output in an error message */
#define RUN_MAX_BYTES 4000u

/**
 * run_wrapper: (transfer full) shell code that runs @folder/script, its output going to @folder/log, and prints its status.
 * @environment: NULL-terminated "NAME=VALUE", of which those about proxies are passed on
 */
char *run_wrapper(const char *folder, const char *const *environment);

/**
 * run_last_lines: (transfer full) the end of what a program printed, fit for a message: the last RUN_MAX_LINES lines of
 * the last RUN_MAX_BYTES bytes, as a terminal would show them, with bars between
 * the lines: a message is one line.
 */
char *run_last_lines(const char *log, size_t size);

/** run_is_possible: whether a kernel of the machine @host (uname(2)) runs programs for @guest, in libguestfs's words. */
bool run_is_possible(const char *host, const char *guest);
