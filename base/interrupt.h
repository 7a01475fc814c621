// SPDX-License-Identifier: Apache-2.0
/* Ctrl-C and SIGTERM as an ordinary error: long work asks, fails, undoes itself, and main() then dies of the
 * signal. */
#pragma once

#include "base/error.h"

/** interrupt_install: catch SIGINT, SIGTERM and SIGHUP once; a second signal kills at once. SIGPIPE is
 * ignored. */
void interrupt_install(void);

/** interrupt_signal: the signal that came, or 0. */
int interrupt_signal(void);

/** interrupt_check: false with BASE_ERROR_INTERRUPTED set after a signal. */
bool interrupt_check(GError **error);
