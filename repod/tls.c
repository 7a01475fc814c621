// SPDX-License-Identifier: Apache-2.0
/* OpenSSL directly on the socket: no filter of another library between, and no buffer but OpenSSL's own. */
#include "repod/tls.h"

#include <errno.h>
#include <glib.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

/* Forward secrecy and authenticated encryption alone; TLS 1.3 has nothing else anyway. */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SESSION_SECONDS 3600

struct TlsContext {
    SSL_CTX *ssl;
};

struct TlsSession {
    SSL *ssl;
    bool has_failed; /* OpenSSL forbids to go on, even to say good-bye */
    TlsClient client;
};

/* The oldest error in the queue is the cause; the others are who passed it on. */
static bool
fail(GError **error, const char *path)
{
    const char *reason = ERR_reason_error_string(ERR_get_error());

    ERR_clear_error();
    return error_set(error, "%s: %s", path, reason != NULL ? reason : "cannot be used for TLS");
}

static int
choose_protocol(G_GNUC_UNUSED SSL *ssl, const unsigned char **out, unsigned char *out_length,
                const unsigned char *offered, unsigned offered_length, G_GNUC_UNUSED void *data)
{
    static const unsigned char ours[] = "\x08http/1.1";

    /* RFC 7301, 3.2: nothing in common ends the handshake. */
    return SSL_select_next_proto((unsigned char **)out, out_length, ours, sizeof ours - 1, offered,
                                 offered_length) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A daemon has nobody to ask. */
static int
no_passphrase(G_GNUC_UNUSED char *buffer, G_GNUC_UNUSED int size, G_GNUC_UNUSED int is_writing,
              G_GNUC_UNUSED void *data)
{
    return -1;
}

static void
set_options(SSL_CTX *ssl)
{
    static const unsigned char id[] = "repod";

    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ssl, CIPHERS_TLS12);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    /* Tickets are kept by the clients. Their key lives as long as this context: what a reload no longer trusts does not
     * come back with an old ticket. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1);
    SSL_CTX_set_timeout(ssl, SESSION_SECONDS);
}

static bool
load_client_ca(SSL_CTX *ssl, const char *path, GError **error)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);

    if (names == NULL || SSL_CTX_load_verify_file(ssl, path) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(error, path);
    }
    SSL_CTX_set_client_CA_list(ssl, names);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return true;
}

TlsContext *
tls_context_new(const char *certificate, const char *key, const char *client_ca, GError **error)
{
    TlsContext *context = g_new0(TlsContext, 1);
    bool is_ok = true;

    ERR_clear_error();
    context->ssl = SSL_CTX_new(TLS_server_method());
    g_assert(context->ssl != NULL);
    set_options(context->ssl);
    if (SSL_CTX_use_certificate_chain_file(context->ssl, certificate) != 1)
        is_ok = fail(error, certificate);
    else if (SSL_CTX_use_PrivateKey_file(context->ssl, key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(context->ssl) != 1)
        is_ok = fail(error, key);
    else if (client_ca != NULL)
        is_ok = load_client_ca(context->ssl, client_ca, error);
    if (is_ok)
        return context;
    tls_context_free(context);
    return NULL;
}

void
tls_context_free(TlsContext *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    g_free(context);
}

TlsSession *
tls_session_new(TlsContext *context, int fd)
{
    TlsSession *session = g_new0(TlsSession, 1);

    session->ssl = SSL_new(context->ssl);
    g_assert(session->ssl != NULL && SSL_set_fd(session->ssl, fd) == 1);
    SSL_set_accept_state(session->ssl);
    return session;
}

void
tls_session_free(TlsSession *session)
{
    if (session == NULL)
        return;
    SSL_free(session->ssl);
    g_free(session->client.subject);
    g_free(session);
}

/* @code: what the call returned, 1 for success. */
static TransportResult
result(TlsSession *session, int code)
{
    TransportResult ended = TRANSPORT_FAILED;

    if (code == 1)
        return TRANSPORT_OK;
    switch (SSL_get_error(session->ssl, code)) {
    case SSL_ERROR_WANT_READ:
        return TRANSPORT_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TRANSPORT_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TRANSPORT_CLOSED;
    default:
        session->has_failed = true;
        ERR_clear_error();
        return ended;
    }
}

static void
note_client(TlsSession *session)
{
    g_autofree unsigned char *digest = g_malloc(EVP_MAX_MD_SIZE);
    X509 *certificate = SSL_get1_peer_certificate(session->ssl);
    BIO *text = BIO_new(BIO_s_mem());
    unsigned length = 0;
    char *data;
    long size;

    g_assert(text != NULL);
    if (certificate != NULL && SSL_get_verify_result(session->ssl) == X509_V_OK &&
        X509_digest(certificate, EVP_sha256(), digest, &length) == 1 &&
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        size = BIO_get_mem_data(text, &data);
        session->client.subject = g_strndup(data, (gsize)size);
        for (unsigned i = 0; i < MIN(length, 32); i++)
            g_snprintf(session->client.fingerprint + 2 * (size_t)i, 3, "%02x", digest[i]);
    }
    BIO_free(text);
    X509_free(certificate);
}

TransportResult
tls_handshake(TlsSession *session)
{
    TransportResult ended;

    ERR_clear_error();
    ended = result(session, SSL_do_handshake(session->ssl));
    if (ended == TRANSPORT_OK)
        note_client(session);
    return ended;
}

bool
tls_has_begun(const TlsSession *session)
{
    return SSL_get_state(session->ssl) != TLS_ST_BEFORE;
}

bool
tls_is_resumed(const TlsSession *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

const TlsClient *
tls_client(const TlsSession *session)
{
    return session->client.subject != NULL ? &session->client : NULL;
}

TransportResult
tls_receive(TlsSession *session, char *data, size_t size, size_t *out_size)
{
    ERR_clear_error();
    return result(session, SSL_read_ex(session->ssl, data, size, out_size));
}

bool
tls_has_pending(const TlsSession *session)
{
    return SSL_pending(session->ssl) > 0;
}

TransportResult
tls_send(TlsSession *session, const char *data, size_t size, size_t *out_size)
{
    ERR_clear_error();
    return result(session, SSL_write_ex(session->ssl, data, size, out_size));
}

bool
tls_is_kernel(const TlsSession *session)
{
    return BIO_get_ktls_send(SSL_get_wbio(session->ssl));
}

TransportResult
tls_send_file(TlsSession *session, int file, uint64_t offset, size_t size, size_t *out_size)
{
    ossl_ssize_t n;

    ERR_clear_error();
    n = SSL_sendfile(session->ssl, file, (off_t)offset, size, 0);
    if (n > 0)
        *out_size = (size_t)n;
    return n > 0 ? TRANSPORT_OK : n == 0 ? TRANSPORT_FAILED : result(session, -1);
}

TransportResult
tls_end(TlsSession *session)
{
    int code;

    if (session->has_failed || !SSL_is_init_finished(session->ssl))
        return TRANSPORT_OK;
    ERR_clear_error();
    code = SSL_shutdown(session->ssl);
    /* 0: sent, and the client's own has not come; nobody waits for that. */
    return code >= 0 ? TRANSPORT_OK : result(session, code);
}
