// SPDX-License-Identifier: Apache-2.0
/* One client connection; private to repod/. It frees itself when it ends. */
#pragma once

#include "repod/tls.h"
#include "repod/worker.h"

typedef struct Conn Conn;

/**
 * conn_start: serve @fd, which is taken and non-blocking.
 * @tls: (nullable) speak TLS
 * @client: (nullable) whose connection this is; taken
 * @refusal: not 0: there are too many connections: answer this status at once and close
 */
void conn_start(Worker *worker, int fd, const Peer *peer, TlsContext *tls, LimitClient *client, int refusal);

/** conn_stop: the worker is stopping: answer what has been asked for, then close; frees @conn if that is now. */
void conn_stop(Conn *conn);

/** conn_is_busy: whether freeing it now would cut a request or its response. */
bool conn_is_busy(const Conn *conn);

/** conn_work_done: its job in the pool has ended. */
void conn_work_done(Conn *conn);

/** conn_free: close at once. */
void conn_free(Conn *conn);
