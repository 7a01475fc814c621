// SPDX-License-Identifier: Apache-2.0
/* TLS 1.2 and 1.3 on a non-blocking socket; private to repod/, and the only part that knows OpenSSL. */
#pragma once

#include "repod/transport_result.h"

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** TlsContext: certificate, key and authorities. Shared by all threads; a session keeps what it needs of it alive. */
typedef struct TlsContext TlsContext;

/**
 * tls_context_new: read PEM files. @client_ca: (nullable) ask clients for certificates of these authorities; who has none
 * is served all the same, who shows a bad one is not.
 */
TlsContext *tls_context_new(const char *certificate, const char *key, const char *client_ca, GError **error);
void tls_context_free(TlsContext *context);

/** TlsClient: the certificate that a client proved to have. */
typedef struct {
    char *subject;        /* RFC 2253 */
    char fingerprint[65]; /* SHA-256 of the certificate, lower-case hex */
} TlsClient;

typedef struct TlsSession TlsSession;

TlsSession *tls_session_new(TlsContext *context, int fd);
void tls_session_free(TlsSession *session);

/** tls_handshake: TRANSPORT_OK when it is complete. */
TransportResult tls_handshake(TlsSession *session);

/** tls_has_begun: whether the client has sent anything yet. */
bool tls_has_begun(const TlsSession *session);
bool tls_is_resumed(const TlsSession *session);

/** tls_client: (nullable) after the handshake; borrowed. */
const TlsClient *tls_client(const TlsSession *session);

TransportResult tls_receive(TlsSession *session, char *data, size_t size, size_t *out_size);

/** tls_has_pending: bytes were decrypted that no event of the socket will announce. */
bool tls_has_pending(const TlsSession *session);

/** tls_send: after TRANSPORT_WANT_*, the same bytes have to come again, perhaps with more behind them. */
TransportResult tls_send(TlsSession *session, const char *data, size_t size, size_t *out_size);

/** tls_is_kernel: whether the kernel encrypts, so that tls_send_file() can be used. */
bool tls_is_kernel(const TlsSession *session);
TransportResult tls_send_file(TlsSession *session, int file, uint64_t offset, size_t size, size_t *out_size);

/** tls_end: say that nothing more will be sent (close_notify). */
TransportResult tls_end(TlsSession *session);
