// SPDX-License-Identifier: Apache-2.0
/* What a service manager is told, and the sockets that it gives: systemd's protocols without its library; private to repod/.
 * Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3). */
#pragma once

#include "base/error.h"

#include <stdint.h>

/** notify_send: "READY=1" and the like to $NOTIFY_SOCKET; nothing happens where there is none. From any thread. */
void notify_send(const char *state);

/** notify_watchdog_us: WATCHDOG=1 is expected at least this often; 0: it is not. */
uint64_t notify_watchdog_us(void);

/**
 * notify_sockets: the number of sockets that were passed, as descriptors 3, 4 and so on; 0 where there are none.
 * @out_names: (transfer full) one a socket, "unknown" where the manager gave none. The variables are unset, so that
 * nobody takes the sockets twice.
 */
unsigned notify_sockets(char ***out_names);
